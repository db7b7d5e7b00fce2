"""Tables of a Liberty file: a quantity over slew and load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from implicore.errors import BadInput

from .conditions import Function
from .reader import Group
from .units import Units


@dataclass(frozen=True)
class Table:
    """A quantity over slew and load.

    Attributes
    ----------
    slews : ndarray of shape (m,)
        In ns, increasing; at least two.
    loads : ndarray of shape (n,)
        In pF, increasing; at least two.
    entries : ndarray of shape (m, n)
        Constant along an axis that the file does not have.
    """

    slews: np.ndarray
    loads: np.ndarray
    entries: np.ndarray

    def at(self, slew, load) -> np.ndarray:
        """Interpolate bilinearly; beyond the table, return its edge."""
        row, down = _between(self.slews, slew)
        column, right = _between(self.loads, load)
        low = self.entries[row, column] * (1 - right) + self.entries[row, column + 1] * right
        high = (
            self.entries[row + 1, column] * (1 - right) + self.entries[row + 1, column + 1] * right
        )
        return low * (1 - down) + high * down


ZERO = Table(np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.zeros((2, 2)))


@dataclass(frozen=True)
class Arc:
    """Tables of a pin for its rise and its fall.

    Attributes
    ----------
    related : str
        The pin that causes the change; empty for the energy of an input pin.
    when : Function, optional
        The condition under which the tables hold.
    rise, fall : Table
    """

    related: str
    when: Function | None
    rise: Table
    fall: Table

    def at(self, slew, load) -> np.ndarray:
        """Return the mean of a rise and a fall."""
        return (self.rise.at(slew, load) + self.fall.at(slew, load)) / 2


def read_table(
    group: Group, templates: Mapping[str, Group], units: Units, scale: float = 1.0
) -> Table:
    """Read a table, with the axes in either order.

    Parameters
    ----------
    group : Group
        The table: ``values``, and axes, which otherwise come from its template.
    templates : mapping of str to Group
    units : Units
        Of the axes.
    scale : float
        Of the values.
    """
    entries = np.array(group.numbers("values")) * scale
    template = templates.get(group.name)
    axes: dict[str, np.ndarray] = {}
    if template is not None and len(entries) > 1:
        for number in (1, 2):
            points = group.numbers(f"index_{number}") or template.numbers(f"index_{number}")
            if points:
                load = "capacitance" in template.text(f"variable_{number}")
                axes["load" if load else "slew"] = np.array(points)
    sizes = [len(points) for points in axes.values()]
    if len(entries) != np.prod(sizes):
        raise BadInput(
            f"The {group.kind} table of template {group.name!r} has {len(entries)} values for "
            f"{' x '.join(map(str, sizes)) or 1}."
        )
    entries = entries.reshape(sizes or (1, 1))
    if list(axes) == ["load", "slew"]:
        entries = entries.T
    elif list(axes) == ["load"]:
        entries = entries[None, :]
    elif list(axes) == ["slew"]:
        entries = entries[:, None]
    # An axis of one point gets a second one, so every table is interpolated the same way.
    for number, axis in enumerate(("slew", "load")):
        if len(axes.get(axis, ())) < 2:
            axes[axis] = np.array([0.0, 1.0])
            entries = np.repeat(entries, 2, axis=number)
    return Table(axes["slew"] * units.ns, axes["load"] * units.pf, entries)


def _between(axis: np.ndarray, value) -> tuple[np.ndarray, np.ndarray]:
    value = np.clip(value, axis[0], axis[-1])
    index = np.clip(np.searchsorted(axis, value) - 1, 0, len(axis) - 2)
    return index, (value - axis[index]) / (axis[index + 1] - axis[index])
