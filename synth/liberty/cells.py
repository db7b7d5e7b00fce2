"""The data of a Liberty file for each cell."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, cached_property
from itertools import product
from pathlib import Path

from implicore.errors import BadInput

from .conditions import Function, parse
from .reader import Group, parse_liberty
from .tables import ZERO, Arc, Table, read_table
from .units import Units

POWER = "internal_power"


class Library:
    """A Liberty file.

    Parameters
    ----------
    group : Group
        The ``library`` group.

    Attributes
    ----------
    units : Units
    templates : dict
        Templates of tables by name.
    cells : dict
        ``Cell`` by name.
    """

    def __init__(self, group: Group):
        self.group = group
        self.name = group.name
        self.units = Units.of(group)
        templates = group.all("lu_table_template", "power_lut_template")
        self.templates = {template.name: template for template in templates}
        self.cells = {cell.name: Cell(cell, self) for cell in group.all("cell")}

    @cached_property
    def voltage(self) -> float:
        """Nominal supply voltage in V; BadInput if the file does not give it."""
        conditions = self.group.text("default_operating_conditions")
        voltage = self.group.number("nom_voltage")
        if voltage is None:
            for group in self.group.all("operating_conditions"):
                if group.name == conditions:
                    voltage = group.number("voltage")
        if not voltage:
            raise BadInput(f"The library {self.name} gives no nom_voltage, which energies need.")
        return voltage * self.units.volt


@cache
def read_liberty(path: Path) -> Library:
    """Return the library in a file, which each process reads once.

    Raises BadInput if the file is not a Liberty file.
    """
    try:
        return Library(parse_liberty(path.read_text(encoding="utf-8")))
    except (BadInput, UnicodeDecodeError) as error:
        reason = str(error).rstrip(".")
        raise BadInput(f"{path} is not a usable Liberty file: {reason}.") from None


class Cell:
    """A cell of a library.

    Parameters
    ----------
    group : Group
        The ``cell`` group.
    library : Library
    """

    def __init__(self, group: Group, library: Library):
        self.group = group
        self.name = group.name
        self.library = library

    @property
    def area(self) -> float:
        """Area in um2."""
        return self.group.number("area") or 0.0

    @cached_property
    def pins(self) -> dict[str, Group]:
        """Groups of pins and buses by name."""
        return {name: pin for pin in self.group.all("pin", "bus") for name in pin.arguments}

    @cached_property
    def inputs(self) -> list[str]:
        """Names of the input pins and buses."""
        return [name for name, pin in self.pins.items() if pin.text("direction") == "input"]

    @cached_property
    def access_ns(self) -> float:
        """The longest delay to an output in any table, in ns."""
        return self.library.units.ns * max(
            max(table.numbers("values"))
            for pin in self.pins.values()
            for timing in pin.all("timing")
            for table in timing.all("cell_rise", "cell_fall")
        )

    @cached_property
    def capacitance(self) -> dict[str, float]:
        """Capacitance of each input pin in pF; for a bus, of each bit."""
        return {
            name: (self.pins[name].number("capacitance") or 0.0) * self.library.units.pf
            for name in self.inputs
        }

    @cached_property
    def energy(self) -> dict[str, list[Arc]]:
        """Internal energy of a change of each pin, in pJ."""
        return self._arcs(POWER, ("rise_power", "fall_power"), self.library.units.pj)

    @cached_property
    def slew(self) -> dict[str, list[Arc]]:
        """Slew of each output pin, in ns."""
        return self._arcs("timing", ("rise_transition", "fall_transition"), self.library.units.ns)

    def period_energy(self, pin: str, levels: Mapping[str, bool]) -> float:
        """Return the energy of a rise and a fall of a pin in pJ, the mean over the tables.

        Parameters
        ----------
        pin : str
        levels : mapping of str to bool
            Level of each other pin that a condition names.

        Raises
        ------
        BadInput
            No table holds at these levels.
        """
        arcs = [arc for arc in self.energy[pin] if arc.when and arc.when.at(levels)]
        arcs = arcs or [arc for arc in self.energy[pin] if not arc.when]
        if not arcs:
            high = ", ".join(name for name, level in levels.items() if level)
            given = ", ".join(repr(group.text("when")) for group in self.pins[pin].all(POWER))
            raise BadInput(
                f"{self._place(pin)}: no internal_power holds while "
                f"{f'only {high} is' if high else 'no pin is'} high; its conditions are "
                f"{given or 'none'}."
            )
        return sum(float(arc.rise.entries.mean()) + float(arc.fall.entries.mean()) for arc in arcs)

    @cached_property
    def leakage(self) -> tuple[list[tuple[Function, float]], float]:
        """Leakage under each condition, and where none holds, in mW.

        Raises BadInput if the conditions leave out a state and there is no other value for it.
        """
        mw = self.library.units.mw
        groups = self.group.all("leakage_power")
        found = [
            (self._condition("", group.text("when")), (group.number("value") or 0.0) * mw)
            for group in groups
            if group.text("when")
        ]
        plain = [group.number("value") for group in groups if not group.text("when")]
        otherwise = self.group.number("cell_leakage_power")
        if otherwise is None and plain:
            otherwise = plain[0]
        if otherwise is None and found and _covers([when for when, _ in found]):
            return found, sum(value for _, value in found) / len(found)
        if otherwise is None:
            otherwise = self.library.group.number("default_cell_leakage_power")
        if otherwise is None and found:
            conditions = ", ".join(repr(group.text("when")) for group in groups)
            raise BadInput(
                f"{self._place()}: the conditions of its leakage_power, {conditions}, leave out a "
                "state, and there is no cell_leakage_power for it."
            )
        return found, (otherwise or 0.0) * mw

    # --------------------------------------------------------------------------------------------

    def _arcs(self, kind: str, edges: tuple[str, str], scale: float) -> dict[str, list[Arc]]:
        library = self.library

        def read(tables: list[Group]) -> Table:
            if not tables:
                return ZERO
            return read_table(tables[0], library.templates, library.units, scale)

        found: dict[str, list[Arc]] = {}
        for name, pin in self.pins.items():
            # All pins of a bus have the same tables.
            groups = pin.all(kind) or [
                group for inner in pin.all("pin")[-1:] for group in inner.all(kind)
            ]
            found[name] = []
            for group in groups:
                rise, fall = (group.all(edge) for edge in edges)
                if rise or fall:
                    text = group.text("when")
                    when = self._condition(name, text) if text else None
                    related = group.text("related_pin").split() or [""]
                    tables = read(rise), read(fall)
                    found[name] += [Arc(source, when, *tables) for source in related]
        return found

    def _condition(self, pin: str, text: str) -> Function:
        try:
            when = parse(text)
        except BadInput as error:
            raise BadInput(f"{self._place(pin)}: the condition {error}") from None
        for name in when.pins:
            if name not in self.pins or self.pins[name].kind == "bus":
                raise BadInput(
                    f"{self._place(pin)}: the condition {text!r} names {name}, which is not a "
                    "one-bit pin."
                )
        return when

    def _place(self, pin: str = "") -> str:
        return f"Library {self.library.name}, cell {self.name}" + (f", pin {pin}" if pin else "")


def _covers(conditions: list[Function]) -> bool:
    """Whether one of the conditions holds in every state of their pins."""
    pins = list(dict.fromkeys(pin for when in conditions for pin in when.pins))
    states = (
        dict(zip(pins, levels, strict=True)) for levels in product((False, True), repeat=len(pins))
    )
    return all(any(when.at(state) for when in conditions) for state in states)
