"""Load and slew of every net of a circuit, from the tables of its cells; wires are left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from .circuit import CLOCK, HIGH, LOW, Circuit, Sram
from .hierarchy import Group
from .liberty import Library

CLOCK_SLEW_NS = 0.1
"""Slew of the clock, of the top's inputs and of SRAM outputs."""

ROUNDS = 5
"""A slew depends weakly on the slews before it: after five rounds all are within 1 %."""


@dataclass
class CellType:
    """All cells of one type in a circuit, one list entry each.

    Attributes
    ----------
    groups : list of Group
    pins : list of dict
        Pin to net.
    flops : list of int
        Number of the flip-flop in the circuit; -1 for other cells.
    """

    groups: list[Group] = field(default_factory=list)
    pins: list[dict[str, int]] = field(default_factory=list)
    flops: list[int] = field(default_factory=list)

    @cached_property
    def bit_lanes(self) -> np.ndarray:
        """Number of bit lanes of each cell."""
        return np.array([group.bit_lanes for group in self.groups])

    def nets(self, pin: str) -> np.ndarray:
        """Return the net of a pin of each cell; ``LOW`` if it is not connected."""
        return np.array([pins.get(pin, LOW) for pins in self.pins])


def cell_types(circuit: Circuit) -> dict[str, CellType]:
    """Return the cells of a circuit by type, without SRAMs."""
    found: dict[str, CellType] = {}
    flops = {(id(group), name): number for number, (group, name) in enumerate(circuit.flops)}
    for group in circuit.groups:
        for name, (kind, pins) in group.netlist.cells.items():
            if kind in circuit.netlists or kind in circuit.macros:
                continue
            cells = found.setdefault(kind, CellType())
            cells.groups.append(group)
            cells.pins.append({pin: circuit.net(group, bits[0]) for pin, bits in pins.items()})
            cells.flops.append(flops.get((id(group), name), -1))
    return found


def sram_nets(circuit: Circuit, sram: Sram, pin: str) -> np.ndarray:
    """Return the nets of a pin or bus of an SRAM, bit by bit; empty if it is not connected."""
    bits = sram.group.netlist.cells[sram.cell][1].get(pin, ())
    return np.array([circuit.net(sram.group, bit) for bit in bits], int)


def loads(circuit: Circuit, library: Library, types: dict[str, CellType]) -> np.ndarray:
    """Return the capacitance in pF that each net drives: the mean over its bit lanes."""
    direct = np.zeros(len(circuit.bit_lanes))
    for name, cells in types.items():
        for pin, capacitance in library.cells[name].capacitance.items():
            np.add.at(direct, cells.nets(pin), capacitance)
    for sram in circuit.srams:
        for pin, capacitance in sram.macro.cell.capacitance.items():
            np.add.at(direct, sram_nets(circuit, sram, pin), capacitance)
    bit_lanes = np.array(circuit.bit_lanes)
    found = direct.copy()
    for net, (sources, _) in circuit.gathered.items():
        np.add.at(found, sources, direct[net] / bit_lanes[sources])
    return found


def slews(
    circuit: Circuit, library: Library, types: dict[str, CellType], load: np.ndarray
) -> np.ndarray:
    """Return the slew of each net in ns: the mean of rise and fall and over the cell's inputs."""
    found = np.full(len(circuit.bit_lanes), CLOCK_SLEW_NS)
    for _ in range(ROUNDS):
        for name, cells in types.items():
            clock = circuit.logic_of(name).clock
            for pin, arcs in library.cells[name].slew.items():
                nets = cells.nets(pin)
                arcs = [arc for arc in arcs if clock in (None, arc.related)]
                if arcs:
                    each = [arc.at(found[cells.nets(arc.related)], load[nets]) for arc in arcs]
                    found[nets] = np.mean(each, axis=0)
        found[[LOW, HIGH, CLOCK]] = CLOCK_SLEW_NS
        for net, (sources, _) in circuit.gathered.items():
            found[net] = found[sources].mean()
    return found
