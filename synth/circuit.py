"""A hierarchy of mapped modules as one circuit for the gate-level simulator.

Instances of one module at corresponding places (``array.row_3.pe_5``, ``array.row_0.pe_1``) are the
*bit lanes* of a *group* (``array.row.pe``): they have the same cells and are simulated side by
side. A *net index* stands for one net of a module in all bit lanes. Ports have no net indices: a
module reads its inputs where they are driven.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from implicore.process import ToolFailed

from .hierarchy import Group, Hierarchy
from .liberty import Cell
from .liberty.conditions import Function, parse
from .liberty.logic import Logic, logic_of
from .macros import Macro
from .netlist import Netlist

LOW, HIGH, CLOCK = 0, 1, 2
"""Net indices of the constants and of the clock, which all groups share."""
CONSTANTS = {"0": LOW, "1": HIGH, "x": LOW, "z": LOW}


@dataclass(frozen=True)
class Sram:
    """A macro in all bit lanes of a group."""

    group: Group
    cell: str
    macro: Macro


@dataclass(frozen=True)
class Operation:
    """The gate or the gathered bits that drive a net in every cycle.

    Attributes
    ----------
    net : int
    function : int, optional
        Number of the gate's function; None for a net that is gathered from other groups.
    sources : list of int
        Nets that must settle first.
    """

    net: int
    function: int | None
    sources: list[int]


class Circuit:
    """The circuit below one module.

    Parameters
    ----------
    top : str
    netlists : mapping of str to Netlist
        Every module.
    cells : mapping of str to Cell
        The cell library.
    macros : mapping of str to Macro
        SRAMs by the name of their cell.
    bit_lanes : int
        Instances of the top, side by side.

    Attributes
    ----------
    groups : list of Group
    bit_lanes : list of int
        Number of bit lanes of each net.
    functions : list of str
        C++ expressions of all gates of the library.
    operations : list of Operation
        Each after the operations that drive its sources.
    flops : list of (Group, str)
        Flip-flops: their group and the name of their cell.
    flop_nets : list of (int, int, int)
        D, Q and clock enable of each flip-flop.
    gated : dict
        Net of each gated clock to the net of its enable.
    gathered : dict
        Net that is driven in other groups to the net and the bit lane that drive each bit lane.
    srams : list of Sram
    undriven : int
        Number of bits that are read but not driven.

    Raises
    ------
    ToolFailed
        The netlist cannot be simulated: it has an unknown cell, a combinational loop, a clock from
        logic, or uses an asynchronous set or reset.
    """

    def __init__(
        self,
        top: str,
        netlists: Mapping[str, Netlist],
        cells: Mapping[str, Cell],
        macros: Mapping[str, Macro] | None = None,
        *,
        bit_lanes: int = 1,
    ):
        self.netlists = netlists
        self.cells = cells
        self.macros = macros or {}
        self.logic: dict[str, Logic] = {}
        self.functions = list(dict.fromkeys(_functions(cells)))
        self._numbers = {function: number for number, function in enumerate(self.functions)}
        self.hierarchy = Hierarchy(top, netlists, bit_lanes)
        self.groups = self.hierarchy.groups
        self.bit_lanes = [0, 0, 0]  # the shared nets get theirs below
        self.flops: list[tuple[Group, str]] = []
        self.flop_nets: list[tuple[int, int, int]] = []
        self.srams: list[Sram] = []
        self.gated: dict[int, int] = {}
        self.gathered: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.undriven = 0
        self._sources: dict = {}
        self._unordered: list[Operation] = []
        self._number_nets()
        self._connect()
        self.bit_lanes[:3] = [max(self.bit_lanes)] * 3
        self.operations = self._ordered()

    def logic_of(self, kind: str) -> Logic:
        """Return the logic of a cell type."""
        if kind not in self.logic:
            if kind not in self.cells:
                raise ToolFailed(f"The netlist has a cell {kind}, which is not in the library.")
            self.logic[kind] = logic_of(self.cells[kind])
        return self.logic[kind]

    def port(self, name: str) -> list[int]:
        """Return the nets of a port of the top."""
        top = self.groups[0]
        return [top.nets[bit] for bit in top.netlist.ports[name][1]]

    # ---------------------------------------------------------------------------------- the nets

    def _new_net(self, group: Group, bit=None) -> int:
        self.bit_lanes.append(group.bit_lanes)
        net = len(self.bit_lanes) - 1
        if bit is not None:
            group.nets[bit] = net
        return net

    def _number_nets(self) -> None:
        """Number nets driven by cells, SRAMs and the top's inputs; note ports that drive others."""
        top = self.groups[0]
        for port, (direction, bits) in top.netlist.ports.items():
            if port == "clk":
                top.nets[bits[0]] = CLOCK
            elif direction == "input":
                for bit in bits:
                    self._new_net(top, bit)
        for group in self.groups:
            group.nets |= CONSTANTS
            for port, (direction, bits) in group.netlist.ports.items():
                if direction == "input":
                    group.drivers |= {bit: (None, port, index) for index, bit in enumerate(bits)}
            for name, (kind, pins) in group.netlist.cells.items():
                if kind in self.netlists:
                    for port, (direction, _) in self.netlists[kind].ports.items():
                        if direction == "output":
                            for index, bit in enumerate(pins.get(port, ())):
                                group.drivers[bit] = (name, port, index)
                elif kind in self.macros:
                    for pin, bits in pins.items():
                        if pin.endswith(self.macros[kind].pins["data_out"]):
                            for bit in bits:
                                self._new_net(group, bit)
                else:
                    for pin, function in self.logic_of(kind).outputs.items():
                        for bit in pins.get(pin, ()):
                            if isinstance(function, Function) and not function.pins:
                                group.nets[bit] = HIGH if function.at({}) else LOW
                            else:
                                self._new_net(group, bit)

    def source(self, group: Group, bit) -> tuple[np.ndarray, np.ndarray]:
        """Return the net and bit lane that drive a bit, for each bit lane of the group."""
        key = (id(group), bit)
        if key in self._sources:
            return self._sources[key]
        nets, bit_lanes = np.zeros(group.bit_lanes, np.int64), np.arange(group.bit_lanes)
        if bit in group.nets and group.nets[bit] not in self.gathered:
            nets[:] = group.nets[bit]
        elif bit not in group.drivers:
            self.undriven += group.bit_lanes
        else:
            child, port, index = group.drivers[bit]
            if child is not None:
                inner, inner_lanes = self.hierarchy.child(group, child)
                found = self.source(inner, inner.netlist.ports[port][1][index])
                nets, bit_lanes = found[0][inner_lanes], found[1][inner_lanes]
            elif group.parent is not None:
                labels, parents = np.array(group.labels), np.array(group.parents)
                for label in dict.fromkeys(group.labels):
                    outer = group.parent.netlist.cells[label][1].get(port, ())
                    if index >= len(outer):
                        continue
                    found = self.source(group.parent, outer[index])
                    here = labels == label
                    nets[here] = found[0][parents[here]]
                    bit_lanes[here] = found[1][parents[here]]
        self._sources[key] = nets, bit_lanes
        return nets, bit_lanes

    def net(self, group: Group, bit) -> int:
        """Return the net of a bit in a group; if necessary, gather it from other groups."""
        if bit in group.nets:
            return group.nets[bit]
        nets, bit_lanes = self.source(group, bit)
        first = int(nets[0])
        if (nets == first).all() and (
            first in (LOW, HIGH, CLOCK)
            or (
                self.bit_lanes[first] == group.bit_lanes
                and (bit_lanes == np.arange(group.bit_lanes)).all()
            )
        ):
            group.nets[bit] = first
            return first
        net = self._new_net(group, bit)
        self.gathered[net] = nets, bit_lanes
        return net

    # ----------------------------------------------------------------------------- the operations

    def _connect(self) -> None:
        for group in self.groups:
            flops_and_gates = []
            for name, (kind, pins) in group.netlist.cells.items():
                if kind in self.netlists:
                    continue
                if kind in self.macros:
                    self.srams.append(Sram(group, name, self.macros[kind]))
                    for bits in pins.values():
                        for bit in bits:
                            self.net(group, bit)
                elif self.logic_of(kind).enable:
                    self._connect_cell(group, name, self.logic_of(kind), pins)
                else:
                    flops_and_gates.append((name, self.logic_of(kind), pins))
            for name, logic, pins in flops_and_gates:  # once all gated clocks are known
                self._connect_cell(group, name, logic, pins)
        top = self.groups[0]
        for _, bits in top.netlist.ports.values():
            for bit in bits:
                self.net(top, bit)
        for net, (nets, _) in self.gathered.items():
            self._unordered.append(Operation(net, None, np.unique(nets).tolist()))

    def _connect_cell(self, group: Group, name: str, logic: Logic, pins: dict) -> None:
        def read(pin):
            return self.net(group, pins[pin][0])

        if logic.clock is None:
            for pin, function in logic.outputs.items():
                for bit in pins.get(pin, ()):
                    if function.pins:
                        self._compute(group.nets[bit], function, list(map(read, function.pins)))
            return
        for pin, level in logic.idle.items():
            if read(pin) != (HIGH if level else LOW):
                raise ToolFailed(
                    f"The cell {name} of {group.module} uses its asynchronous pin {pin}, which the "
                    "gate-level simulator does not support."
                )
        clock = read(logic.clock)
        if logic.enable:
            if clock != CLOCK:
                raise ToolFailed(
                    f"The clock gate {name} of {group.module} is not clocked by clk itself."
                )
            for bits in (pins.get(pin, ()) for pin in logic.outputs):
                self.gated |= {group.nets[bit]: read(logic.enable) for bit in bits}
            return
        if clock != CLOCK and clock not in self.gated:
            raise ToolFailed(
                f"The flip-flop {name} of {group.module} is clocked neither by clk nor by a clock "
                "gate."
            )
        if logic.next_state.tree[0] == "pin":
            data = read(logic.next_state.tree[1])
        else:
            data = self._new_net(group)
            self._compute(data, logic.next_state, list(map(read, logic.next_state.pins)))
        state = None
        for pin, inverted in logic.outputs.items():
            for bit in pins.get(pin, ()):
                if not inverted:
                    state = group.nets[bit]
        if state is None:
            state = self._new_net(group)
        for pin, inverted in logic.outputs.items():
            for bit in pins.get(pin, ()):
                if inverted:
                    self._compute(group.nets[bit], parse("!Q"), [state])
        self.flops.append((group, name))
        self.flop_nets.append((data, state, self.gated.get(clock, HIGH)))

    def _compute(self, net: int, function: Function, sources: list[int]) -> None:
        self._unordered.append(Operation(net, self._numbers[function.cpp()], sources))

    def _ordered(self) -> list[Operation]:
        drivers = {operation.net: number for number, operation in enumerate(self._unordered)}
        waits = [0] * len(self._unordered)
        users: list[list[int]] = [[] for _ in self._unordered]
        for number, operation in enumerate(self._unordered):
            for source in set(operation.sources):
                if source in drivers:
                    users[drivers[source]].append(number)
                    waits[number] += 1
        ready = [number for number, count in enumerate(waits) if not count]
        for number in ready:
            for user in users[number]:
                waits[user] -= 1
                if not waits[user]:
                    ready.append(user)
        if len(ready) < len(self._unordered):
            raise ToolFailed(f"The netlist of {self.groups[0].module} has a combinational loop.")
        return [self._unordered[number] for number in ready]


def _functions(cells: Mapping[str, Cell]) -> list[str]:
    """Return the C++ expressions of all gates of a library and of an inverted flip-flop output."""
    found = [parse("!Q").cpp()]
    for cell in cells.values():
        try:
            logic = logic_of(cell)
        except ToolFailed:
            continue
        functions = [*logic.outputs.values(), logic.next_state]
        found += [each.cpp() for each in functions if isinstance(each, Function) and each.pins]
    return found
