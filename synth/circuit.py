"""A hierarchy of mapped modules as one circuit, in the form that ``gates.h`` computes.

Instances of one module at corresponding places (``array.row_3.pe_5``, ``array.row_0.pe_1``) are
*bit lanes* of a *group* (``array.row.pe``): they have the same cells and are computed side by side. A
net of the module, in all bit lanes, is a *net*. Ports need no nets of their own: what enters a
module is gathered from wherever it is made.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from implicore.process import ToolFailed

from .liberty import Cell
from .liberty.conditions import Function, parse
from .liberty.logic import Logic, logic_of
from .macros import Macro

LOW, HIGH, CLOCK = 0, 1, 2
"""Nets of the constants and of the clock, which are the same for everybody."""
GATHER = 0xFFFFFFFF
CONSTANTS = {"0": LOW, "1": HIGH, "x": LOW, "z": LOW}


@dataclass(frozen=True)
class Netlist:
    """A module in cells, as Yosys' ``write_json`` describes it.

    Attributes
    ----------
    ports : dict
        Name to direction and bits. A bit is a number, or ``0`` or ``1`` as a string.
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
        """One module of a file."""
        content = json.loads(path.read_text(encoding="utf-8"))["modules"][name]
        return cls(
            {port: (one["direction"], one["bits"]) for port, one in content["ports"].items()},
            {cell: (one["type"], one["connections"]) for cell, one in content["cells"].items()},
            {net: one["bits"] for net, one in content["netnames"].items()},
        )


@dataclass
class Group:
    """Instances of one module at corresponding places.

    Attributes
    ----------
    path : str
        Names from the top, numbers left out; empty for the top.
    module : str
    netlist : Netlist
    bit_lanes : int
    parent : Group, optional
    labels : list of str
        Each bit lane's name in its parent.
    parents : list of int
        Each bit lane's parent's bit lane.
    nets : dict
        Bit of a net to its net.
    drivers : dict
        Bit of a net to what else drives it: the child, or None for a port of the module's own;
        the port, and its bit's place.
    """

    path: str
    module: str
    netlist: Netlist
    bit_lanes: int
    parent: Group | None = None
    labels: list[str] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    nets: dict = field(default_factory=dict)
    drivers: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Sram:
    """A macro in all bit lanes of a group."""

    group: Group
    cell: str
    macro: Macro


class Circuit:
    """The whole hierarchy below one module.

    Parameters
    ----------
    top : str
    netlists : mapping of str to Netlist
        Every module.
    cells : mapping of str to Cell
        The library.
    macros : mapping of str to Macro
        SRAMs by cell name.
    bit_lanes : int
        Instances of the top, side by side.
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
        self.logic = {}
        self.functions = list(dict.fromkeys(_functions(cells)))
        self._numbers = {function: number for number, function in enumerate(self.functions)}
        self.groups: list[Group] = []
        self._children: dict[tuple[int, str], tuple[Group, np.ndarray]] = {}
        self._hang(Group("", top, netlists[top], bit_lanes, parents=[0] * bit_lanes))
        self.bit_lanes = [0, 0, 0]  # of each net; those of everybody are filled in at last
        self.flops: list[tuple[Group, str]] = []
        self.srams: list[Sram] = []
        self._operations: list[tuple[int, list[int], list[int]]] = []  # net, code, sources
        self.ends: list[tuple[int, int, int]] = []  # D, Q and enable of each flip-flop
        self.gated: dict[int, int] = {}  # nets of gated clocks to those of their enables
        self._sources: dict = {}
        self.gathered: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.undriven = 0
        self._own_nets()
        self._connect()
        self.bit_lanes[:3] = [max(self.bit_lanes)] * 3
        self._operations = self._ordered()

    # ------------------------------------------------------------------------------ the hierarchy

    def _hang(self, group: Group) -> None:
        """Add a group and all below it."""
        self.groups.append(group)
        below: dict[tuple[str, str], list[str]] = {}
        for name, (kind, _) in group.netlist.cells.items():
            if kind in self.netlists:
                below.setdefault((re.sub(r"_\d+$", "", name), kind), []).append(name)
        for (label, kind), names in below.items():
            path = f"{group.path}.{label}" if group.path else label
            child = Group(
                path,
                kind,
                self.netlists[kind],
                group.bit_lanes * len(names),
                group,
                [name for _ in range(group.bit_lanes) for name in names],
                [bit_lane for bit_lane in range(group.bit_lanes) for _ in names],
            )
            for number, name in enumerate(names):
                own = np.arange(group.bit_lanes) * len(names) + number
                self._children[id(group), name] = child, own
            self._hang(child)

    def _net(self, group: Group, bit=None) -> int:
        self.bit_lanes.append(group.bit_lanes)
        net = len(self.bit_lanes) - 1
        if bit is not None:
            group.nets[bit] = net
        return net

    def logic_of(self, kind: str) -> Logic:
        """What a cell does."""
        if kind not in self.logic:
            if kind not in self.cells:
                raise ToolFailed(f"The netlist has a cell {kind}, which the library has not.")
            self.logic[kind] = logic_of(self.cells[kind])
        return self.logic[kind]

    def _own_nets(self) -> None:
        """Nets for what cells, SRAMs and the top's inputs drive; who drives all others."""
        top = self.groups[0]
        for port, (direction, bits) in top.netlist.ports.items():
            if port == "clk":
                top.nets[bits[0]] = CLOCK
            elif direction == "input":
                for bit in bits:
                    self._net(top, bit)
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
                                self._net(group, bit)
                else:
                    logic = self.logic_of(kind)
                    for pin, function in logic.outputs.items():
                        for bit in pins.get(pin, ()):
                            if isinstance(function, Function) and not function.pins:
                                group.nets[bit] = HIGH if function.at({}) else LOW
                            else:
                                self._net(group, bit)

    # ----------------------------------------------------------------------------- the connections

    def source(self, group: Group, bit) -> tuple[np.ndarray, np.ndarray]:
        """Net and bit lane where a net of each bit lane is made."""
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
                inner, own = self._children[id(group), child]
                inner_nets, inner_bit_lanes = self.source(
                    inner, inner.netlist.ports[port][1][index]
                )
                nets, bit_lanes = inner_nets[own], inner_bit_lanes[own]
            elif group.parent is not None:
                labels, parents = np.array(group.labels), np.array(group.parents)
                for label in dict.fromkeys(group.labels):
                    outer = group.parent.netlist.cells[label][1].get(port, ())
                    if index >= len(outer):
                        continue
                    outer_nets, outer_bit_lanes = self.source(group.parent, outer[index])
                    here = labels == label
                    nets[here] = outer_nets[parents[here]]
                    bit_lanes[here] = outer_bit_lanes[parents[here]]
        self._sources[key] = nets, bit_lanes
        return nets, bit_lanes

    def net(self, group: Group, bit) -> int:
        """The net in which a net can be read in a group, made by a gathering if need be."""
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
        net = self._net(group, bit)
        self.gathered[net] = nets, bit_lanes
        return net

    def _connect(self) -> None:
        for group in self.groups:
            own = [one for one in group.netlist.cells.items() if one[1][0] not in self.netlists]
            later = []
            for name, (kind, pins) in own:
                if kind in self.macros:
                    self.srams.append(Sram(group, name, self.macros[kind]))
                    for bits in pins.values():
                        for bit in bits:
                            self.net(group, bit)
                elif self.logic_of(kind).enable:
                    self._cell(group, name, self.logic_of(kind), pins)
                else:
                    later.append((name, self.logic_of(kind), pins))
            for name, logic, pins in later:  # when all clocks are known
                self._cell(group, name, logic, pins)
        top = self.groups[0]
        for _, bits in top.netlist.ports.values():
            for bit in bits:
                self.net(top, bit)
        for net, (nets, _) in self.gathered.items():
            sources = np.unique(nets).tolist()
            self._operations.append((net, None, sources))

    def _cell(self, group: Group, name: str, logic: Logic, pins: dict) -> None:
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
                raise ToolFailed(f"The cell {name} of {group.module} is controlled by {pin}.")
        clock = read(logic.clock)
        if logic.enable:
            if clock != CLOCK:
                raise ToolFailed(f"The gate {name} of {group.module} has a clock of its own.")
            for bits in (pins.get(pin, ()) for pin in logic.outputs):
                self.gated |= {group.nets[bit]: read(logic.enable) for bit in bits}
            return
        if clock != CLOCK and clock not in self.gated:
            raise ToolFailed(f"The flip-flop {name} of {group.module} has a clock of its own.")
        if logic.next_state.tree[0] == "pin":
            given = read(logic.next_state.tree[1])
        else:
            given = self._net(group)
            self._compute(given, logic.next_state, list(map(read, logic.next_state.pins)))
        state = None
        for pin, inverted in logic.outputs.items():
            for bit in pins.get(pin, ()):
                if not inverted:
                    state = group.nets[bit]
        if state is None:
            state = self._net(group)
        for pin, inverted in logic.outputs.items():
            for bit in pins.get(pin, ()):
                if inverted:
                    self._compute(group.nets[bit], parse("!Q"), [state])
        self.flops.append((group, name))
        self.ends.append((given, state, self.gated.get(clock, HIGH)))

    def _compute(self, net: int, function: Function, sources: list[int]) -> None:
        self._operations.append((net, self._numbers[function.cpp()], sources))

    def _ordered(self) -> list:
        """Operations, each behind those that make its inputs; ToolFailed if there is a loop."""
        makers = {net: number for number, (net, _, _) in enumerate(self._operations)}
        waits = [0] * len(self._operations)
        users: list[list[int]] = [[] for _ in self._operations]
        for number, (_, _, sources) in enumerate(self._operations):
            for source in set(sources):
                if source in makers:
                    users[makers[source]].append(number)
                    waits[number] += 1
        ready = [number for number, count in enumerate(waits) if not count]
        for number in ready:
            for user in users[number]:
                waits[user] -= 1
                if not waits[user]:
                    ready.append(user)
        if len(ready) < len(self._operations):
            raise ToolFailed(
                f"The netlist of {self.groups[0].module} has a loop of logic without a flip-flop."
            )
        return [self._operations[number] for number in ready]

    # ------------------------------------------------------------------------------------- output

    def port(self, name: str) -> list[int]:
        """Nets of a port of the top."""
        top = self.groups[0]
        return [top.nets[bit] for bit in top.netlist.ports[name][1]]

    def words(self) -> np.ndarray:
        """The circuit as ``gates.h`` reads it, uint32."""
        offsets = np.concatenate(
            [[0], np.cumsum([-(-bit_lanes // 64) for bit_lanes in self.bit_lanes])]
        )
        code: list = []
        for net, function, sources in self._operations:
            if function is not None:
                code += [function, net, len(sources), *sources]
                continue
            nets, bit_lanes = self.gathered[net]
            bits = offsets[nets] * 64 + bit_lanes
            starts = np.flatnonzero(np.diff(bits, prepend=-2) != 1)
            lengths = np.diff(starts, append=len(bits))
            runs = np.stack([starts, bits[starts], lengths], axis=1)
            code += [GATHER, net, len(sources), *sources, len(runs), *runs.ravel().tolist()]
        memories: list = []
        for sram in self.srams:
            memories += self._memory(sram)
        parts = [
            [len(self.bit_lanes), *self.bit_lanes],
            [len(code), *code],
            [len(self.ends), *(net for end in self.ends for net in end)],
            [len(self.srams), *memories],
        ]
        return np.concatenate([np.array(part, np.uint32) for part in parts])

    def _memory(self, sram: Sram) -> list[int]:
        macro, group = sram.macro, sram.group
        pins = group.netlist.cells[sram.cell][1]

        def read(name):
            return [self.net(group, bit) for bit in pins.get(name, ())]

        words = [group.bit_lanes, macro.width, macro.depth, len(macro.prefixes)]
        for prefix in macro.prefixes:
            for pin in ("enable", "write", "read"):
                words += read(prefix + macro.pins[pin])
            for pin in ("address", "data_in", "mask", "data_out"):
                nets = read(prefix + macro.pins[pin]) if pin in macro.pins else []
                words += [len(nets), *nets]
        return words


def _functions(cells: Mapping[str, Cell]) -> list[str]:
    """C++ expressions of all gates of a library, and of a flip-flop's inverted output."""
    found = [parse("!Q").cpp()]
    for cell in cells.values():
        try:
            logic = logic_of(cell)
        except ToolFailed:
            continue
        functions = [*logic.outputs.values(), logic.next_state]
        found += [one.cpp() for one in functions if isinstance(one, Function) and one.pins]
    return found
