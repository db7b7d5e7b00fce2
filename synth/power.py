"""Energy of a circuit from its activity and the tables of its Liberty files.

Of every cell: the charge of the pins that its nets lead to (wires are left out), the energy within
the cell at the net's load and slope for every change of an output, hidden energy of input pins,
the clock pins in every cycle, and leakage. The clock is ideal: no tree, and a stated slope.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from .activity import Activity
from .circuit import CLOCK, HIGH, LOW, Circuit, Group, Sram
from .liberty import Library
from .liberty.conditions import Function
from .liberty.tables import Arc

CLOCK_SLEW_NS = 0.1
"""Of the clock and of whatever comes from outside or from an SRAM."""

SLEW_ROUNDS = 5
"""A slope depends on the slopes before it, but weakly: five rounds settle them within 1 %."""

CLOCK_DUTY = 0.5
"""Part of a cycle in which the clock is high, and in which inputs of flip-flops change."""


@dataclass
class Part:
    """Energy of all instances at corresponding places, in pJ a cycle, all bit lanes together.

    Attributes
    ----------
    path : str
        As in ``Group``.
    module : str
    instances : int
    switching, internal, clock, access : float
        Charge of the pins driven; energy within cells at changes of data; the clock's pins;
        SRAM accesses.
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
        """Energy of a cycle, leakage apart."""
        return self.switching + self.internal + self.clock + self.access


# ----------------------------------------------------------------------------------- the circuit


@dataclass
class _Kind:
    """All cells of one type."""

    groups: list[Group] = field(default_factory=list)
    pins: list[dict[str, int]] = field(default_factory=list)  # nets
    flops: list[int] = field(default_factory=list)  # numbers

    @cached_property
    def bit_lanes(self) -> np.ndarray:
        return np.array([group.bit_lanes for group in self.groups])

    def nets(self, pin: str) -> np.ndarray:
        """Of a pin in each cell; low where it is not connected."""
        return np.array([pins.get(pin, LOW) for pins in self.pins])


class Power:
    """The energy of a circuit.

    Parameters
    ----------
    circuit : Circuit
    library : Library
        Its cells.
    """

    def __init__(self, circuit: Circuit, library: Library):
        self.circuit = circuit
        self.library = library
        self.bit_lanes = np.array(circuit.bit_lanes)
        self.kinds: dict[str, _Kind] = {}
        flops = {(id(group), name): number for number, (group, name) in enumerate(circuit.flops)}
        for group in circuit.groups:
            for name, (kind, pins) in group.netlist.cells.items():
                if kind in circuit.netlists or kind in circuit.macros:
                    continue
                entry = self.kinds.setdefault(kind, _Kind())
                entry.groups.append(group)
                entry.pins.append({pin: circuit.net(group, bits[0]) for pin, bits in pins.items()})
                entry.flops.append(flops.get((id(group), name), -1))
        self.loads = self._loads()
        self.slews = self._slews()

    def _loads(self) -> np.ndarray:
        """What each net drives, in pF: pins alone, the mean over its bit lanes."""
        own = np.zeros(len(self.bit_lanes))
        for name, kind in self.kinds.items():
            for pin, capacitance in self.library.cells[name].capacitance.items():
                np.add.at(own, kind.nets(pin), capacitance)
        for sram in self.circuit.srams:
            for nets, capacitance in self._sram_pins(sram):
                np.add.at(own, nets, capacitance)
        loads = own.copy()
        for net, (sources, _) in self.circuit.gathered.items():
            np.add.at(loads, sources, own[net] / self.bit_lanes[sources])
        return loads

    def _sram_pins(self, sram: Sram):
        pins = sram.group.netlist.cells[sram.cell][1]
        for pin, capacitance in sram.macro.cell.capacitance.items():
            nets = [self.circuit.net(sram.group, bit) for bit in pins.get(pin, ())]
            yield np.array(nets, int), capacitance

    def _slews(self) -> np.ndarray:
        """Of each net, in ns: the mean of rise and fall over the cell's inputs."""
        slews = np.full(len(self.bit_lanes), CLOCK_SLEW_NS)
        for _ in range(SLEW_ROUNDS):
            for name, kind in self.kinds.items():
                clock = self.circuit.logic_of(name).clock
                for pin, arcs in self.library.cells[name].slew.items():
                    nets = kind.nets(pin)
                    arcs = [arc for arc in arcs if clock in (None, arc.related)]
                    if arcs:
                        found = [
                            arc.at(slews[kind.nets(arc.related)], self.loads[nets]) for arc in arcs
                        ]
                        slews[nets] = np.mean(found, axis=0)
            slews[[LOW, HIGH, CLOCK]] = CLOCK_SLEW_NS
            for net, (sources, _) in self.circuit.gathered.items():
                slews[net] = slews[sources].mean()
        return slews

    # --------------------------------------------------------------------------------- the result

    def parts(self, activity: Activity) -> list[Part]:
        """Energy by group, in the order of the hierarchy."""
        found = {
            id(group): Part(group.path, group.module, group.bit_lanes)
            for group in self.circuit.groups
        }
        for name, kind in self.kinds.items():
            energies = self._kind(name, kind, activity)
            for field_, amounts in energies.items():
                for group, amount in zip(kind.groups, amounts.tolist(), strict=True):
                    part = found[id(group)]
                    setattr(part, field_, getattr(part, field_) + amount)
        for number, sram in enumerate(self.circuit.srams):
            self._sram(found[id(sram.group)], number, sram, activity)
        return list(found.values())

    def _kind(self, name: str, kind: _Kind, activity: Activity) -> dict[str, np.ndarray]:
        """Energies of all cells of a type, in pJ a cycle and all bit lanes; leakage in mW."""
        cell, logic = self.library.cells[name], self.circuit.logic_of(name)
        volts = self.library.voltage**2
        toggles = self._changes(activity)
        highs = self._highs(name, kind, logic.clock, activity)
        energies = {
            key: np.zeros(len(kind.groups))
            for key in ("switching", "internal", "clock", "leakage_mw")
        }

        def likely(when: Function):
            return when.probability(highs)

        for pin, capacitance in cell.capacitance.items():
            nets = kind.nets(pin)
            changes = np.where(nets == CLOCK, 2.0 * kind.bit_lanes, toggles[nets])
            charge, arcs = changes * capacitance * volts / 2, cell.energy[pin]
            if pin == logic.clock:
                energies["clock"] += charge + self._clock_energy(arcs, name, kind, highs, activity)
                continue
            if any(arc.when for arc in arcs):  # then the one without is for other tools
                arcs = [arc for arc in arcs if arc.when]
            hidden = sum(
                arc.at(self.slews[nets], 0.0) * (likely(arc.when) if arc.when else 1.0)
                for arc in arcs
            )
            energies["switching"] += charge
            energies["internal"] += changes * hidden
        for pin in logic.outputs:
            nets = kind.nets(pin)
            total, weights = np.zeros(len(kind.groups)), np.zeros(len(kind.groups))
            for related in dict.fromkeys(arc.related for arc in cell.energy[pin]):
                sources = kind.nets(related)
                # Of several inputs, each is to blame as often as it changes.
                blame = np.where(sources == CLOCK, 2.0 * kind.bit_lanes, toggles[sources]) + 1e-12
                arcs = [arc for arc in cell.energy[pin] if arc.related == related]
                total += blame * _mean(arcs, self.slews[sources], self.loads[nets], likely)
                weights += blame
            share = np.divide(total, weights, out=np.zeros_like(total), where=weights > 0)
            where = "clock" if logic.enable else "internal"
            energies[where] += np.where(nets > CLOCK, toggles[nets] * share, 0.0)
        conditions, otherwise = cell.leakage
        leaking, covered = 0.0, 0.0
        for when, value in conditions:
            chance = likely(when)
            leaking, covered = leaking + chance * value, covered + chance
        energies["leakage_mw"] += kind.bit_lanes * (
            leaking + (1 - np.minimum(covered, 1)) * otherwise
        )
        return energies

    def _changes(self, activity: Activity) -> np.ndarray:
        """Of each net in a cycle, all bit lanes together; the clock's own apart."""
        changes = activity.toggles / activity.cycles
        for net, enable in self.circuit.gated.items():  # a rise and a fall when it is enabled
            changes[net] = 2 * self._enabled(enable, self.bit_lanes[net], activity)
        return changes

    def _enabled(self, enable, bit_lanes, activity: Activity) -> np.ndarray:
        """Edges of a clock in a cycle, all bit lanes together."""
        return np.where(enable == HIGH, bit_lanes, activity.highs[enable] / activity.cycles)

    def _highs(
        self, name: str, kind: _Kind, clock: str | None, activity: Activity
    ) -> dict[str, np.ndarray]:
        """How often each pin is high; of the clock, while it runs."""
        full = activity.cycles * self.bit_lanes
        highs = {}
        for pin in self.library.cells[name].pins:  # low where nothing is connected
            nets = kind.nets(pin)
            highs[pin] = np.where(nets == HIGH, 1.0, activity.highs[nets] / full[nets])
        if clock is not None:
            nets = kind.nets(clock)
            edges = [
                self._enabled(self.circuit.gated.get(net, HIGH), bit_lanes, activity) / bit_lanes
                for net, bit_lanes in zip(nets.tolist(), kind.bit_lanes.tolist(), strict=True)
            ]
            highs[clock] = CLOCK_DUTY * np.array(edges)
        return highs

    def _clock_energy(self, arcs, name: str, kind: _Kind, highs: dict, activity: Activity):
        """Hidden energy of the clock pins.

        It depends on D and Q, and these on each other: they were counted together, before rises
        and, in the cycle that begins with it, before falls. Other pins are taken as independent.
        """
        logic = self.circuit.logic_of(name)
        if logic.enable:  # a gate: its own clock always runs
            slew = self.slews[kind.nets(logic.clock)]
            return sum(arc.at(slew, 0.0) for arc in arcs if not arc.when) * 2.0 * kind.bit_lanes
        enables = np.array([self.circuit.ends[number][2] for number in kind.flops])
        edges = self._enabled(enables, kind.bit_lanes, activity)
        counts = activity.joint[kind.flops] / activity.cycles
        total = np.zeros(len(kind.groups))
        for table, (d, q, both) in (("rise", counts[:, :3].T), ("fall", counts[:, 3:].T)):
            states = (
                (both, 1, 1),
                (d - both, 1, 0),
                (q - both, 0, 1),
                (edges - d - q + both, 0, 0),
            )
            for arc in arcs:
                energy = getattr(arc, table).at(self.slews[kind.nets(logic.clock)], 0.0)
                if not arc.when:
                    if not any(one.when for one in arcs):
                        total += energy * edges
                    continue
                for often, level_d, level_q in states:
                    pins = dict(highs)
                    if logic.next_state.tree[0] == "pin":
                        pins[logic.next_state.tree[1]] = level_d
                    for pin, inverted in logic.outputs.items():
                        pins[pin] = 1 - level_q if inverted else level_q
                    total += energy * often * arc.when.probability(pins)
        return total

    def _sram(self, part: Part, number: int, sram: Sram, activity: Activity) -> None:
        """Add a macro: its accesses, its pins, its leakage."""
        cell = sram.macro.cell
        pins = sram.group.netlist.cells[sram.cell][1]
        volts = cell.library.voltage**2
        full = activity.cycles * self.bit_lanes

        def nets(pin):
            return np.array([self.circuit.net(sram.group, bit) for bit in pins.get(pin, ())], int)

        highs = {}
        for pin in cell.capacitance:
            own = nets(pin)
            if len(own) == 1:
                high = 1.0 if own[0] == HIGH else activity.highs[own[0]] / full[own[0]]
                highs[pin] = float(high)
        for pin, capacitance in cell.capacitance.items():
            if pin in [prefix + sram.macro.pins["clock"] for prefix in sram.macro.prefixes]:
                part.clock += sram.group.bit_lanes * capacitance * volts
                continue
            changes = float(activity.toggles[nets(pin)].sum()) / activity.cycles
            arcs = cell.energy[pin]
            hidden = sum(
                float(arc.at(CLOCK_SLEW_NS, 0.0)) * (arc.when.probability(highs) if arc.when else 1)
                for arc in arcs
            )
            part.switching += changes * capacitance * volts / 2
            part.internal += changes * hidden
        for write, counts in ((False, activity.reads), (True, activity.writes)):
            energy = sram.macro.energy_pj(write=write)
            part.access += int(counts[number]) / activity.cycles * energy
        part.leakage_mw += sram.group.bit_lanes * cell.leakage[1]


def _mean(arcs: list[Arc], slew, load, likely) -> np.ndarray:
    """Energy of a change: under the conditions that hold, or the figure without any."""
    total, weights = 0.0, 0.0
    for arc in arcs:
        if arc.when:
            chance = likely(arc.when)
            total, weights = total + chance * arc.at(slew, load), weights + chance
    plain = [arc.at(slew, load) for arc in arcs if not arc.when]
    if not plain:
        return np.divide(total, weights, out=np.zeros_like(total), where=weights > 0)
    return np.where(weights > 1e-9, total / np.maximum(weights, 1e-9), np.mean(plain, axis=0))


def total(parts: list[Part]) -> Mapping[str, float]:
    """Sums over all parts."""
    return {
        name: sum(getattr(part, name) for part in parts)
        for name in ("switching", "internal", "clock", "access", "leakage_mw", "pj")
    }
