"""Interface logic models: the part of a netlist that timing from outside depends on.

A register-to-register path inside a module is equally long in every instance, so it is timed once,
in the module alone. The timing of the whole design only needs the cells between the ports of an
instance and its first registers, with all their loads. This is exact with an ideal clock and
without wires.
"""

from __future__ import annotations

import re
from pathlib import Path

from implicore.cache import cached
from implicore.digest import source_digest

from .liberty import read_liberty
from .netlist import Netlist
from .target import TEST_ENABLE

SOURCES = tuple(f"implicore.synth.{name}" for name in ("boundary", "netlist", "target", "liberty"))
"""Modules that the reduced netlist depends on, besides the module's netlist and the library."""

INSTANCE = re.compile(r"^  \w+ \\?(\S+) +\(\n.*?^  \);\n", re.M | re.S)


def boundary(netlist: Path, name: str, liberty: Path) -> Path:
    """Reduce the Verilog netlist of a module to its ``visible`` cells.

    Parameters
    ----------
    netlist : Path
        A module without children; its JSON netlist is beside it.
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
    """Return the cells between a port and a register, with the registers and all loads."""
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
        return {
            bit
            for port, (direction, bits) in named
            if direction == way and port not in ("clk", TEST_ENABLE)
            for bit in bits
        }

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

    forward, forward_nets = follow(ports("input"), lambda bit: sinks.get(bit, []), outputs)
    backward, backward_nets = follow(
        ports("output"), lambda bit: [drivers[bit]] if bit in drivers else [], inputs
    )
    loads = {cell for bit in forward_nets | backward_nets for cell in sinks.get(bit, [])}
    constants = {cell for cell, bits in inputs.items() if not bits}
    return forward | backward | loads | constants
