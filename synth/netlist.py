"""A mapped module as Yosys writes it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from .target import TEST_ENABLE


@dataclass(frozen=True)
class Netlist:
    """A module in cells, as Yosys' ``write_json`` describes it.

    Attributes
    ----------
    ports : dict
        Name to direction and bits. A bit is the number of a net, or a constant: ``"0"`` or ``"1"``.
    cells : dict
        Name to type and connections: pin to bits.
    names : dict
        Name of a net to its bits.
    """

    ports: dict[str, tuple[str, list]]
    cells: dict[str, tuple[str, dict[str, list]]]
    names: dict[str, list]

    @classmethod
    def read(cls, path: Path, name: str) -> Netlist:
        """Read one module of a JSON netlist."""
        content = json.loads(path.read_text(encoding="utf-8"))["modules"][name]
        return cls(
            {port: (one["direction"], one["bits"]) for port, one in content["ports"].items()},
            {cell: (one["type"], one["connections"]) for cell, one in content["cells"].items()},
            {net: one["bits"] for net, one in content["netnames"].items()},
        )

    def tied_off(self) -> Netlist:
        """Return the netlist without the port ``test_enable``, which is 0."""
        if TEST_ENABLE not in self.ports:
            return self
        ports = {name: port for name, port in self.ports.items() if name != TEST_ENABLE}
        (test,) = self.ports[TEST_ENABLE][1]
        cells = {
            cell: (
                kind,
                {pin: ["0" if bit == test else bit for bit in bits] for pin, bits in pins.items()},
            )
            for cell, (kind, pins) in self.cells.items()
        }
        names = {name: bits for name, bits in self.names.items() if bits != [test]}
        return Netlist(ports, cells, names)
