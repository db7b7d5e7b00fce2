"""The units of a Liberty file."""

from __future__ import annotations

import re
from dataclasses import dataclass

from implicore.errors import BadInput

from .reader import Group

NS = {"fs": 1e-6, "ps": 1e-3, "ns": 1.0, "us": 1e3, "s": 1e9}
PF = {"ff": 1e-3, "pf": 1.0, "nf": 1e3}
VOLT = {"mv": 1e-3, "v": 1.0}
MW = {"fw": 1e-12, "pw": 1e-9, "nw": 1e-6, "uw": 1e-3, "mw": 1.0}


@dataclass(frozen=True)
class Units:
    """The scale of one unit of each quantity of a library.

    Attributes
    ----------
    ns : float
        Of times, from ``time_unit``.
    pf : float
        Of capacitances, from ``capacitive_load_unit``.
    volt : float
        Of voltages, from ``voltage_unit``.
    mw : float
        Of leakage, from ``leakage_power_unit``.
    """

    ns: float
    pf: float
    volt: float
    mw: float

    @property
    def pj(self) -> float:
        """Of internal energies: a capacitance times the square of a voltage, as in OpenSTA."""
        return self.pf * self.volt**2

    @classmethod
    def of(cls, library: Group) -> Units:
        """Read the units of a library; 1 ns, 1 pF, 1 V and 1 nW where it gives none, as in OpenSTA.

        Raises BadInput for an unknown unit.
        """
        load = " ".join(library.attributes.get("capacitive_load_unit", ("1", "pf")))
        return cls(
            _value(library, "time_unit", library.text("time_unit") or "1ns", NS),
            _value(library, "capacitive_load_unit", load, PF),
            _value(library, "voltage_unit", library.text("voltage_unit") or "1V", VOLT),
            _value(library, "leakage_power_unit", library.text("leakage_power_unit") or "1nW", MW),
        )


def _value(library: Group, attribute: str, text: str, scales: dict[str, float]) -> float:
    found = re.fullmatch(r"([\d.]+(?:e[+-]?\d+)?) *([a-z]+)", text.strip().lower())
    if found is None or found[2] not in scales:
        raise BadInput(
            f"The library {library.name} gives {attribute} as {text!r}: choose a number and one of "
            f"{', '.join(scales)}."
        )
    return float(found[1]) * scales[found[2]]
