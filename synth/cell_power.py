"""Energy of the cells of a circuit at some activity."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .activity import Activity
from .circuit import CLOCK, HIGH, Circuit
from .liberty import Library
from .liberty.tables import Arc
from .slews import CellType

CLOCK_DUTY = 0.5
"""Share of a cycle in which the clock is high; the inputs of flip-flops change meanwhile."""


class CellPower:
    """Energy of cells from the counts of a window.

    Parameters
    ----------
    circuit : Circuit
    library : Library
    loads, slews : ndarray
        Load and slew of each net, as ``slews`` computes them.
    activity : Activity
    """

    def __init__(
        self,
        circuit: Circuit,
        library: Library,
        loads: np.ndarray,
        slews: np.ndarray,
        activity: Activity,
    ):
        self.circuit = circuit
        self.library = library
        self.loads = loads
        self.slews = slews
        self.activity = activity
        bit_lanes = np.array(circuit.bit_lanes)
        self._full = activity.cycles * bit_lanes
        self._changes = activity.toggles / activity.cycles
        for net, enable in circuit.gated.items():  # a rise and a fall when enabled
            self._changes[net] = 2 * self._edges(enable, bit_lanes[net])

    def energies(self, name: str, cells: CellType) -> dict[str, np.ndarray]:
        """Return the energies of all cells of a type.

        Returns
        -------
        dict of str to ndarray of shape (cells,)
            ``switching``, ``internal`` and ``clock`` in pJ a cycle, ``leakage_mw``: the sum over
            the bit lanes of each cell.
        """
        cell, logic = self.library.cells[name], self.circuit.logic_of(name)
        highs = self._highs(name, cells)
        found = {
            field: np.zeros(len(cells.groups))
            for field in ("switching", "internal", "clock", "leakage_mw")
        }
        for pin, capacitance in cell.capacitance.items():
            nets = cells.nets(pin)
            changes = self._changes_of(nets, cells)
            charge = changes * capacitance * self.library.voltage**2 / 2
            if pin == logic.clock:
                found["clock"] += charge + self._clock_pin(name, cells, highs)
                continue
            # Tables without a condition are for tools that do not evaluate conditions.
            arcs = [arc for arc in cell.energy[pin] if arc.when] or cell.energy[pin]
            pin_energy = sum(
                arc.at(self.slews[nets], 0.0) * (arc.when.probability(highs) if arc.when else 1.0)
                for arc in arcs
            )
            found["switching"] += charge
            found["internal"] += changes * pin_energy
        for pin in logic.outputs:
            # The output of a clock gate is a clock.
            found["clock" if logic.enable else "internal"] += self._output(name, cells, pin, highs)
        conditions, otherwise = cell.leakage
        leaking, covered = 0.0, 0.0
        for when, value in conditions:
            chance = when.probability(highs)
            leaking, covered = leaking + chance * value, covered + chance
        found["leakage_mw"] += cells.bit_lanes * (
            leaking + (1 - np.minimum(covered, 1)) * otherwise
        )
        return found

    def _edges(self, enable, bit_lanes) -> np.ndarray:
        """Return the rising edges per cycle of a clock with this enable, over all bit lanes."""
        activity = self.activity
        return np.where(enable == HIGH, bit_lanes, activity.highs[enable] / activity.cycles)

    def _changes_of(self, nets: np.ndarray, cells: CellType) -> np.ndarray:
        """Return the changes per cycle of the net of each cell, over all bit lanes."""
        return np.where(nets == CLOCK, 2.0 * cells.bit_lanes, self._changes[nets])

    def _highs(self, name: str, cells: CellType) -> dict[str, np.ndarray]:
        """Return the probability that each pin is high; for a clock pin, while data change."""
        highs = {}
        for pin in self.library.cells[name].pins:
            nets = cells.nets(pin)
            highs[pin] = np.where(nets == HIGH, 1.0, self.activity.highs[nets] / self._full[nets])
        if clock := self.circuit.logic_of(name).clock:
            each = zip(cells.nets(clock).tolist(), cells.bit_lanes.tolist(), strict=True)
            edges = [
                self._edges(self.circuit.gated.get(net, HIGH), bit_lanes) / bit_lanes
                for net, bit_lanes in each
            ]
            highs[clock] = CLOCK_DUTY * np.array(edges)
        return highs

    def _output(self, name: str, cells: CellType, pin: str, highs: Mapping) -> np.ndarray:
        """Return the energy of the changes of an output.

        Which input caused a change is not known: each input is weighted by its number of changes.
        """
        arcs = self.library.cells[name].energy[pin]
        nets = cells.nets(pin)
        total, weights = np.zeros(len(cells.groups)), np.zeros(len(cells.groups))
        for related in dict.fromkeys(arc.related for arc in arcs):
            sources = cells.nets(related)
            weight = self._changes_of(sources, cells) + 1e-12
            related_arcs = [arc for arc in arcs if arc.related == related]
            total += weight * _expected(related_arcs, self.slews[sources], self.loads[nets], highs)
            weights += weight
        mean = np.divide(total, weights, out=np.zeros_like(total), where=weights > 0)
        return np.where(nets > CLOCK, self._changes[nets] * mean, 0.0)

    def _clock_pin(self, name: str, cells: CellType, highs: Mapping) -> np.ndarray:
        """Return the internal energy of the clock pins.

        The energy of a flip-flop depends on D and Q, which depend on each other. They were counted
        together, before rises and, in the cycle that a rise begins, before falls. Other pins are
        assumed independent.
        """
        logic = self.circuit.logic_of(name)
        arcs = self.library.cells[name].energy[logic.clock]
        slew = self.slews[cells.nets(logic.clock)]
        if logic.enable:  # the clock of a clock gate always runs
            return _expected(arcs, slew, 0.0, highs) * 2.0 * cells.bit_lanes
        enables = np.array([self.circuit.flop_nets[number][2] for number in cells.flops])
        edges = self._edges(enables, cells.bit_lanes)
        counts = self.activity.joint[cells.flops] / self.activity.cycles
        conditional = any(arc.when for arc in arcs)
        total = np.zeros(len(cells.groups))
        for table, (d, q, both) in (("rise", counts[:, :3].T), ("fall", counts[:, 3:].T)):
            states = (
                (both, 1, 1),
                (d - both, 1, 0),
                (q - both, 0, 1),
                (edges - d - q + both, 0, 0),
            )
            for arc in arcs:
                energy = getattr(arc, table).at(slew, 0.0)
                if not arc.when:
                    total += 0.0 if conditional else energy * edges
                    continue
                for count, level_d, level_q in states:
                    pins = dict(highs)
                    if logic.next_state.tree[0] == "pin":
                        pins[logic.next_state.tree[1]] = level_d
                    for pin, inverted in logic.outputs.items():
                        pins[pin] = 1 - level_q if inverted else level_q
                    total += energy * count * arc.when.probability(pins)
        return total


def _expected(arcs: list[Arc], slew, load, highs: Mapping) -> np.ndarray:
    """Return the expected energy of a change: of the tables whose conditions hold, else others."""
    total, weights = np.zeros(np.shape(slew)), np.zeros(np.shape(slew))
    for arc in arcs:
        if arc.when:
            chance = arc.when.probability(highs)
            total, weights = total + chance * arc.at(slew, load), weights + chance
    plain = [arc.at(slew, load) for arc in arcs if not arc.when]
    if not plain:
        return np.divide(total, weights, out=np.zeros_like(total), where=weights > 0)
    return np.where(weights > 1e-9, total / np.maximum(weights, 1e-9), np.mean(plain, axis=0))
