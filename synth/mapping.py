"""Mapping of Verilog to cells: every distinct module is mapped once, alone, and cached.

A module without a clock is merged into its parent, and logic is optimized across the boundary. All
other modules keep their boundaries, which are nearly always registers or memories.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from implicore.cache import cached

from . import timing, yosys
from .target import TEST_ENABLE, Target

WORKERS = 2


@dataclass(frozen=True)
class Source:
    """A module of the Verilog.

    Attributes
    ----------
    name, text : str
    """

    name: str
    text: str

    @cached_property
    def clocked(self) -> bool:
        """Whether it has a clock."""
        return bool(re.search(r"^ +input (wire )?clk\b", self.text, re.M))

    def instances(self, modules: Iterable[str]) -> dict[str, str]:
        """Return the instances of the given modules in this module: label to module."""
        found = re.findall(r"^ +(\w+) +(?:#\(.*?\) *)?\\?(\w+) +\($", self.text, re.M)
        modules = set(modules)
        return {label: module for module, label in found if module in modules}

    @property
    def stub(self) -> str:
        """Verilog declaration: its ports alone."""
        ports = re.findall(
            r"^ +(input|output)(?: reg| wire)? *(\[\d+:0\])? *(\w+)[;,]?$", self.text, re.M
        )
        declared = ",\n".join(f"  {way} {width} {name}" for way, width, name in ports)
        return f"(* blackbox *)\nmodule {self.name} (\n{declared}\n);\nendmodule\n"


def split(verilog: str) -> dict[str, Source]:
    """Return the modules of a Verilog text by name."""
    return {
        found[1]: Source(found[1], found[0])
        for found in re.finditer(r"^module (\w+).*?^endmodule$", verilog, re.M | re.S)
    }


@dataclass(frozen=True)
class Recipe:
    """A way to map a module.

    Attributes
    ----------
    name : str
    synth : str
        Options of Yosys' ``synth``.
    abc : str
        Script of ABC.
    buffered : bool
        Whether ABC is given the drivers of inputs and of register outputs, so that it buffers nets
        of high fan-out.
    """

    name: str
    synth: str
    abc: str
    buffered: bool = False


_EVEN = "strash; dch; map -B 0.9; topo; buffer -c; upsize; dnsize"
RECIPES = (
    Recipe("small", "", "strash; dch; map -B 0.9 -a; topo; buffer -c; upsize; dnsize"),
    Recipe("even", "", _EVEN),
    Recipe("buffered", "", _EVEN, buffered=True),
    Recipe(
        "fast",
        "-booth -extra-map +/choices/han-carlson.v",
        "strash; &get -n; &fraig -x; &put; scorr; dc2; dch -f; map -B 0.9 -D 1; topo; "
        "buffer -c; upsize; dnsize",
        buffered=True,
    ),
)
"""Ordered from the smallest cells to the shortest paths."""


GATED_FLOPS = 4
"""Minimum number of flip-flops with a common enable for a clock gate."""

ENABLES = "".join(
    f"module \\$_SDFF{kind}E_PP{value}P_ (input D, C, E, R, output Q);\n"
    f"  \\$_DFFE_PP_ _TECHMAP_REPLACE_ (.D({data}), .C(C), .E({enable}), .Q(Q));\nendmodule\n"
    for kind, enable in (("", "E | R"), ("C", "E"))
    for value, data in ((0, "D & ~R"), (1, "D | R"))
)
"""Resets become part of data and enable: a flip-flop with a gated clock cannot be reset."""


@dataclass(frozen=True)
class Mapped:
    """A module in cells of the library.

    Attributes
    ----------
    name, recipe : str
    folder : Path
        ``netlist.v`` and ``netlist.json``.
    area_um2 : float
        Area of its own cells, without children.
    period_ns : float
        Minimum clock period of the module alone.
    cells : dict
        Number of cells by type.
    children : dict
        Instance to module, macros included.
    fan_out : int
        Maximum number of cell pins that an input drives, other than the clock and the test enable.
    """

    name: str
    recipe: str
    folder: Path
    area_um2: float
    period_ns: float
    cells: dict[str, int]
    children: dict[str, str]
    fan_out: int


SCAN_GATE = "implicore_scan_gate"
"""Module around a clock gate with a test enable, which is flattened."""


def for_scan(target: Target) -> bool:
    """Whether the clock gates of the target have a test enable."""
    return len(target.clock_gate) == 5


def scan_gate(target: Target) -> str:
    """Return the Verilog of ``SCAN_GATE``."""
    cell, enable, clock, output, test = target.clock_gate
    return f"""module {SCAN_GATE} (input E, C, {TEST_ENABLE}, output Q);
  {cell} gate (.{enable}(E), .{clock}(C), .{output}(Q), .{test}({TEST_ENABLE}));
endmodule
"""


def script(name: str, recipe: Recipe, target: Target, children: Iterable[str] = ()) -> str:
    """Return the Yosys script that maps ``module.v``; ``stubs.v`` declares its children.

    Parameters
    ----------
    name : str
    recipe : Recipe
    target : Target
    children : iterable of str
        Labels of the instances that get the module's test enable in a netlist for scan.
    """
    liberty = f"-liberty {target.liberty}"
    exclude = "".join(f" -dont_use {cell}" for cell in target.exclude)
    ties = ""
    if target.tie_high:
        high, low = " ".join(target.tie_high), " ".join(target.tie_low)
        ties = f"hilomap -singleton -hicell {high} -locell {low}"
    constraints = "-constr driver.txt " if recipe.buffered and target.driver else ""
    gates = ""
    if target.clock_gate:
        cell, *pins = target.clock_gate
        if for_scan(target):
            cell, pins = SCAN_GATE, ["E", "C", "Q"]
        gates = f"""techmap -map enables.v
simplemap
opt
clockgate -pos {cell} {":".join(pins)} -min_net_size {GATED_FLOPS}
opt"""
    if for_scan(target):
        gates += f"""
read_verilog gate.v
add -global_input {TEST_ENABLE} 1 {name} {SCAN_GATE}
flatten
"""
        gates += "\n".join(
            f"connect -port {child} {TEST_ENABLE} {TEST_ENABLE} {name}" for child in children
        )
    return f"""read_verilog -DSYNTHESIS module.v
read_verilog stubs.v
hierarchy -check -top {name}
synth -top {name} -flatten {recipe.synth}
{gates}
dfflibmap {liberty}{exclude}
opt
abc {liberty} {constraints}-script abc.txt{exclude}
setundef -zero
{ties}
opt_clean -purge
read_liberty -lib -ignore_miss_func {target.liberty}
rename -wire -suffix _ff t:*df* t:*DF*
tee -q -o stat.json stat -json {liberty}
write_json netlist.json
write_verilog -noattr -noexpr -nohex -simple-lhs netlist.v
"""


def map_module(
    source: str,
    name: str,
    stubs: str,
    children: dict[str, str],
    recipe: Recipe,
    target: Target,
    *,
    macros: Sequence[Path] = (),
    driver: bool = True,
) -> Mapped:
    """Map one module, or find it in the cache.

    Parameters
    ----------
    source : str
        Verilog of the module and of the modules that are merged into it.
    name : str
    stubs : str
        Verilog declarations of all other modules that it instantiates.
    children : dict
        Instances of these modules: label to module.
    recipe : Recipe
    target : Target
    macros : sequence of Path
        Liberty files of the macros that it instantiates, which are timed as well. ``source``
        declares their ports.
    driver : bool
        Whether the target's driver cell drives the inputs when the module is timed; else they are
        ideal.
    """
    text = script(name, recipe, target, children)
    driving = target.driver if driver else ""
    abc = recipe.abc.replace("; ", "\n") + "\n"

    constraints = (
        f"set_driving_cell {target.driver}\n"
        f"set_load {1000 * timing.OUTPUT_LOAD_PF:g} [all_outputs]\n"
    )
    files = {
        "driver.txt": constraints,
        "module.v": source,
        "stubs.v": stubs,
        "abc.txt": abc,
        "enables.v": ENABLES,
    }
    if for_scan(target):
        files["gate.v"] = scan_gate(target)
        files["stubs.v"] = re.sub(
            r"^(module \w+ \(\n)", rf"\1  input {TEST_ENABLE},\n", stubs, flags=re.M
        )

    def make(folder: Path) -> None:
        for file, content in files.items():
            (folder / file).write_text(content, encoding="utf-8")
        yosys.yosys(text, folder)
        period = timing.least_period(name, folder / "netlist.v", libraries, folder, driver=driving)
        (folder / "period.json").write_text(json.dumps(period), encoding="utf-8")
        fan_out = _fan_out(folder / "netlist.json", name)
        (folder / "fan_out.json").write_text(json.dumps(fan_out), encoding="utf-8")

    flow = [Path(module.__file__) for module in (timing, yosys)]
    libraries = [target.liberty, *macros]
    inputs = [files, text, driving, *libraries, yosys.version(), Path(__file__), *flow]
    folder = cached("mapped", inputs, make)
    stat = json.loads((folder / "stat.json").read_text(encoding="utf-8"))["design"]
    cells = {kind.lstrip("\\"): entry for kind, entry in stat["num_cells_by_type"].items()}
    counts = {
        kind: entry["count"] if isinstance(entry, dict) else entry for kind, entry in cells.items()
    }
    kinds = set(children.values())
    return Mapped(
        name,
        recipe.name,
        folder,
        float(stat.get("area", 0.0)),
        json.loads((folder / "period.json").read_text(encoding="utf-8")),
        {kind: count for kind, count in counts.items() if kind not in kinds},
        children,
        json.loads((folder / "fan_out.json").read_text(encoding="utf-8")),
    )


def _fan_out(netlist: Path, name: str) -> int:
    module = json.loads(netlist.read_text(encoding="utf-8"))["modules"][name]
    sinks = Counter(
        bit
        for cell in module["cells"].values()
        for pin, bits in cell["connections"].items()
        for bit in bits
    )
    ports = module["ports"].items()
    return max(
        (
            sinks[bit]
            for name, port in ports
            if port["direction"] == "input" and name not in ("clk", TEST_ENABLE)
            for bit in port["bits"]
        ),
        default=0,
    )


def merged(modules: dict[str, Source]) -> Iterator[tuple[Source, str, dict[str, str], str]]:
    """Yield the modules to map, each with its whole text, its children and their declarations."""
    for module in modules.values():
        if not module.clocked:
            continue
        parts, children = [module], {}
        for part in parts:
            for label, child in part.instances(modules).items():
                if modules[child].clocked:
                    children[label] = child
                elif modules[child] not in parts:
                    parts.append(modules[child])
        text = "\n".join(part.text for part in parts)
        stubs = "\n".join(modules[child].stub for child in sorted(set(children.values())))
        yield module, text, children, stubs


def map_all(jobs: Iterable, run) -> list:
    """Run every job, two at a time; each starts a separate process."""
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(run, jobs))
