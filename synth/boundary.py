"""What of a module can be seen from outside: the netlist for the timing of many of them.

A path from register to register inside a module is as long in every instance. It is enough to look
at it once, in the module alone; of the instances, only what lies between their ports and their
first registers, with all the loads on it, takes part in the timing of the whole (an interface logic
model, exact where clock and wires are ideal).
"""

from __future__ import annotations

import re
from pathlib import Path

from implicore.cache import cached

from .liberty import read_liberty
from .netlist import Netlist

INSTANCE = re.compile(r"^  \w+ \\?(\S+) +\(\n.*?^  \);\n", re.M | re.S)


def boundary(netlist: Path, name: str, liberty: Path) -> Path:
    """The netlist beside ``netlist.json``, less what no port can see.

    Parameters
    ----------
    netlist : Path
        Of a module without children.
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

    return cached("boundary", [netlist, name, liberty, Path(__file__)], make) / "netlist.v"


def visible(module: Netlist, liberty: Path) -> set[str]:
    """Cells on paths between a port and a register, the registers and all loads included."""
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
