"""The instances of a design, grouped by their place in the hierarchy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from .netlist import Netlist


@dataclass
class Group:
    """Instances of one module at corresponding places, one bit lane each.

    Attributes
    ----------
    path : str
        Instance names from the top without their numbers (``array.row.pe``); empty for the top.
    module : str
    netlist : Netlist
    bit_lanes : int
        Number of instances.
    parent : Group, optional
    labels : list of str
        Name of each bit lane's instance in its parent.
    parents : list of int
        Bit lane of the parent that contains each bit lane.
    nets : dict
        Bit of the netlist to net index.
    drivers : dict
        Bit of the netlist to the port that drives it: the child instance, or None for a port of the
        module; the name of the port; the position of the bit in the port.
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


class Hierarchy:
    """Every instance below one module.

    Parameters
    ----------
    top : str
    netlists : mapping of str to Netlist
        Every module.
    bit_lanes : int
        Instances of the top.

    Attributes
    ----------
    groups : list of Group
        Each after its parent.
    """

    def __init__(self, top: str, netlists: Mapping[str, Netlist], bit_lanes: int):
        self.netlists = netlists
        self.groups: list[Group] = []
        self._children: dict[tuple[int, str], tuple[Group, np.ndarray]] = {}
        self._add(Group("", top, netlists[top], bit_lanes, parents=[0] * bit_lanes))

    def child(self, group: Group, name: str) -> tuple[Group, np.ndarray]:
        """Return the group of a child instance and its bit lane for each bit lane of the parent."""
        return self._children[id(group), name]

    def _add(self, group: Group) -> None:
        """Add a group and all below it."""
        self.groups.append(group)
        below: dict[tuple[str, str], list[str]] = {}
        for name, (kind, _) in group.netlist.cells.items():
            if kind in self.netlists:
                below.setdefault((re.sub(r"_\d+$", "", name), kind), []).append(name)
        for (label, kind), names in below.items():
            child = Group(
                f"{group.path}.{label}" if group.path else label,
                kind,
                self.netlists[kind],
                group.bit_lanes * len(names),
                group,
                [name for _ in range(group.bit_lanes) for name in names],
                [bit_lane for bit_lane in range(group.bit_lanes) for _ in names],
            )
            for number, name in enumerate(names):
                child_lanes = np.arange(group.bit_lanes) * len(names) + number
                self._children[id(group), name] = child, child_lanes
            self._add(child)
