"""Energy of a circuit from its activity and the tables of its Liberty files.

The energy of a cell consists of the charge of the pins that its nets drive (without wires), the
internal energy of each output change at the net's load and slew, the internal energy of input pins
and, in every cycle, of clock pins, and leakage. The clock is ideal: no tree and a fixed slew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .activity import Activity
from .cell_power import CellPower
from .circuit import Circuit
from .liberty import Library
from .slews import cell_types, loads, slews
from .sram_power import sram_energies


@dataclass
class Part:
    """Energy of all instances of a group together, in pJ a cycle.

    Attributes
    ----------
    path : str
        As in ``Group``.
    module : str
    instances : int
    switching : float
        Charge of the pins that nets drive.
    internal : float
        Energy within cells when data change.
    clock : float
        Energy at clock edges.
    access : float
        Reads and writes of SRAMs.
    leakage_mw : float
    """

    path: str
    module: str
    instances: int
    switching: float = 0.0
    internal: float = 0.0
    clock: float = 0.0
    access: float = 0.0
    leakage_mw: float = 0.0

    @property
    def pj(self) -> float:
        """Energy of a cycle, without leakage."""
        return self.switching + self.internal + self.clock + self.access

    def add(self, field: str, amount: float) -> None:
        """Add an energy to one of the attributes."""
        setattr(self, field, getattr(self, field) + amount)


class Power:
    """The energy of a circuit.

    Parameters
    ----------
    circuit : Circuit
    library : Library
        Library of the circuit's cells.

    Attributes
    ----------
    loads, slews : ndarray
        Load in pF and slew in ns of each net.
    """

    def __init__(self, circuit: Circuit, library: Library):
        self.circuit = circuit
        self.library = library
        self._types = cell_types(circuit)
        self.loads = loads(circuit, library, self._types)
        self.slews = slews(circuit, library, self._types, self.loads)

    def parts(self, activity: Activity) -> list[Part]:
        """Return the energy of each group, in the order of the hierarchy."""
        groups = self.circuit.groups
        found = {id(group): Part(group.path, group.module, group.bit_lanes) for group in groups}
        power = CellPower(self.circuit, self.library, self.loads, self.slews, activity)
        for name, cells in self._types.items():
            for field, amounts in power.energies(name, cells).items():
                for group, amount in zip(cells.groups, amounts.tolist(), strict=True):
                    found[id(group)].add(field, amount)
        for number, sram in enumerate(self.circuit.srams):
            for field, amount in sram_energies(self.circuit, number, activity):
                found[id(sram.group)].add(field, amount)
        return list(found.values())


def total(parts: list[Part]) -> Mapping[str, float]:
    """Return the sums over all parts."""
    return {
        name: sum(getattr(part, name) for part in parts)
        for name in ("switching", "internal", "clock", "access", "leakage_mw", "pj")
    }
