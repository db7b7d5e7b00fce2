"""A mapped module as Yosys writes it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


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
