"""What the flow needs of a Liberty file, read by the package ``liberty-parser``."""

from __future__ import annotations

import re
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from implicore.errors import BadInput


class Cell:
    """A cell of a library.

    Parameters
    ----------
    group : liberty.types.Group
    """

    def __init__(self, group):
        self.group = group
        self.name = text(group.args[0])

    @property
    def area(self) -> float:
        """In um2."""
        return float(self.group["area"] or 0)

    @cached_property
    def pins(self) -> dict:
        """Groups of its pins and buses by name."""
        found = self.group.get_groups("pin") + self.group.get_groups("bus")
        return {text(pin.args[0]): pin for pin in found}

    def inputs(self) -> list[str]:
        """Names of its input pins and buses."""
        return [name for name, pin in self.pins.items() if text(pin["direction"]) == "input"]

    @property
    def access_ns(self) -> float:
        """The longest delay in any of its tables from a clock's edge to an output."""
        delays = [
            values(table).max()
            for pin in self.pins.values()
            for timing in pin.get_groups("timing")
            for kind in ("cell_rise", "cell_fall")
            for table in timing.get_groups(kind)
        ]
        return float(max(delays))

    def internal_energy(self, pin: str, levels: dict[str, bool]) -> float:
        """Energy in the cell, in pJ, of one period of a pin while others are at these levels."""
        for power in self.pins[pin].get_groups("internal_power"):
            if _holds(text(power["when"]), levels):
                return sum(
                    float(values(table).mean())
                    for kind in ("rise_power", "fall_power")
                    for table in power.get_groups(kind)
                )
        return 0.0


class Library:
    """A Liberty file's cells by name.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path):
        from liberty.parser import parse_liberty

        try:
            self.group = parse_liberty(path.read_text(encoding="utf-8"))
        except Exception as error:  # the parser raises whatever its own parts raise
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise BadInput(f"{path} is no Liberty file: {reason}") from None
        self.cells = {cell.name: cell for cell in map(Cell, self.group.get_groups("cell"))}


@cache
def read_liberty(path: Path) -> Library:
    """A Liberty file, read once."""
    return Library(path)


def text(value) -> str:
    """A name, be it quoted in the file or not."""
    return "" if value is None else str(value).strip('"')


def values(table) -> np.ndarray:
    """The numbers of a table, scalars included."""
    content = table["values"]
    entries = content if isinstance(content, list) else [content]
    return np.array([float(number) for entry in entries for number in text(entry).split(",")])


def _holds(condition: str, levels: dict[str, bool]) -> bool:
    literals = re.findall(r"(!?)\s*(\w+)", condition)
    return all(levels.get(name, False) != bool(negated) for negated, name in literals)
