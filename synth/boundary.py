"""Interface logic models: the part of a netlist that takes part in timing from outside.

A path from register to register inside a module is equally long in every instance, so it is timed
once, in the module alone. The timing of the whole design only needs what lies between the ports of
an instance and its first registers, with all loads on it. This is exact where clock and wires are
ideal.
"""

from __future__ import annotations

import re
from pathlib import Path

from implicore.cache import cached
from implicore.digest import source_digest

from .liberty import read_liberty
from .netlist import Netlist

SOURCES = tuple(f"implicore.synth.{name}" for name in ("boundary", "netlist", "liberty"))
"""What the reduced netlist depends on beside the module's netlist and the library."""

INSTANCE = re.compile(r"^  \w+ \\?(\S+) +\(\n.*?^  \);\n", re.M | re.S)


def boundary(netlist: Path, name: str, liberty: Path) -> Path:
    """The Verilog netlist of a module, reduced to its ``visible`` cells.

    Parameters
    ----------
    netlist : Path
        Of a module without children; the same in JSON stands beside it.
    name : str
    liberty : Path
    """

    def make(folder: Path) -> None:
        module = Netlist.read(netlist.with_suffix(".json"), name)
        kept = visible(module, liberty)
        content = INSTANCE.sub(
            lambda found: found[0] if found[1] in kept else "", netlist.read_text(encoding="utf-8")
        )
        (folder / "netlist.v").write_text(content, encoding="utf-8")

    inputs = [netlist, netlist.with_suffix(".json"), name, liberty, source_digest(*SOURCES)]
    return cached("boundary", inputs, make) / "netlist.v"


def visible(module: Netlist, liberty: Path) -> set[str]:
    """Names of the cells between a port and a register, with the registers and all loads."""
    library = read_liberty(liberty).cells
    flops = {name for name, cell in library.items() if cell.group.all("ff")}
    inputs, outputs = {}, {}
    sinks: dict[object, list[str]] = {}
    drivers: dict[object, str] = {}
    for name, (kind, connections) in module.cells.items():
        pins = library[kind].pins
        ways = {pin: pins[pin].text("direction") for pin in connections}
        inputs[name] = [bit for pin, (bit,) in connections.items() if ways[pin] == "input"]
        outputs[name] = [bit for pin, (bit,) in connections.items() if ways[pin] == "output"]
        for bit in inputs[name]:
            sinks.setdefault(bit, []).append(name)
        drivers |= dict.fromkeys(outputs[name], name)

    def ports(way: str) -> set:
        named = module.ports.items()
        return {bit for port, (is_, bits) in named if is_ == way and port != "clk" for bit in bits}

    def follow(bits: set, cells_at, onward) -> tuple[set[str], set]:
        kept, seen, waiting = set(), set(bits), list(bits)
        while waiting:
            for cell in cells_at(waiting.pop()):
                kept.add(cell)
                if module.cells[cell][0] not in flops:
                    new = set(onward[cell]) - seen
                    seen |= new
                    waiting += new
        return kept, seen

    forward, onto = follow(ports("input"), lambda bit: sinks.get(bit, []), outputs)
    backward, upon = follow(
        ports("output"), lambda bit: [drivers[bit]] if bit in drivers else [], inputs
    )
    loads = {cell for bit in onto | upon for cell in sinks.get(bit, [])}
    constants = {cell for cell, bits in inputs.items() if not bits}
    return forward | backward | loads | constants
