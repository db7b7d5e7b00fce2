"""SRAM macros: those of a process kit, or a model of them where a kit has none."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, cached_property
from math import log2
from pathlib import Path

import numpy as np

from implicore.cache import cached
from implicore.errors import BadInput

from .liberty import Cell, read_liberty
from .target import Target

PINS = {
    "ports": ["A_", "B_"],
    "clock": "CLK",
    "enable": "MEN",
    "write": "WEN",
    "read": "REN",
    "address": "ADDR",
    "data_in": "DIN",
    "data_out": "DOUT",
}
"""Pin names of modelled macros; the target gives those of a kit."""


@dataclass(frozen=True)
class Macro:
    """An SRAM macro.

    Attributes
    ----------
    name : str
    depth : int
        Words.
    width : int
        Bits of a word.
    ports : int
        1 or 2; of two ports, the first one writes and the second one reads.
    liberty : Path
    pins : dict
        Pin names, as in ``PINS``; also ``mask``, and ``high``, the pins that are tied high.
    """

    name: str
    depth: int
    width: int
    ports: int
    liberty: Path
    pins: dict

    @cached_property
    def cell(self) -> Cell:
        """The cell in its library."""
        return read_liberty(self.liberty).cells[self.name]

    @property
    def prefixes(self) -> list[str]:
        """Prefix of the pins of each port."""
        return self.pins["ports"][: self.ports]

    @property
    def area_um2(self) -> float:
        """Area in um2."""
        return self.cell.area

    @cached_property
    def access_ns(self) -> float:
        """The longest delay from the clock to the read data in any table of the library."""
        return self.cell.access_ns

    @property
    def leakage_mw(self) -> float:
        """Leakage in mW, the same in every state."""
        return self.cell.leakage[1]

    def energy_pj(self, *, write: bool) -> float:
        """Return the energy of one access in pJ, from the internal power of the clock pin.

        The first port writes, the last one reads. Inputs are as ``memories`` connects them.
        Raises BadInput if no table of the library holds for such an access.
        """
        prefix = self.prefixes[0] if write else self.prefixes[-1]
        high = {prefix + self.pins[pin] for pin in ("enable", "write" if write else "read")}
        high |= {prefix + pin for prefix in self.prefixes for pin in self.pins.get("high", ())}
        if write and "mask" in self.pins:
            high.add(prefix + self.pins["mask"])
        return _access_pj(self.cell, prefix + self.pins["clock"], frozenset(high))


@cache
def _access_pj(cell: Cell, clock: str, high: frozenset[str]) -> float:
    """Return the energy of an access; cached: a sweep evaluates the same few macros many times."""
    return cell.period_energy(clock, {pin: pin in high for pin in cell.pins})


def macros_of(target: Target) -> list[Macro]:
    """Return the SRAM macros of a kit; BadInput if no name matches the given pattern."""
    pattern = re.compile(target.macros["size"])
    found = []
    for path in target.macro_files:
        sizes = pattern.search(path.name)
        if sizes is None:
            continue
        name = next(iter(read_liberty(path).cells))
        sizes = {field: int(value) for field, value in sizes.groupdict().items()}
        found.append(Macro(name, liberty=path, pins=target.macros, **sizes))
    if not found:
        raise BadInput(
            f"No SRAM macro of {target.title} matches the pattern {target.macros['size']}."
        )
    return found


# ------------------------------------------------------------------------------------- the model

_AREA = {1: [4844.6, 8.6623, 492.04, 3.3207], 2: [10919.5, 30.690, 849.56, 5.9813]}  # um2
_READ = {1: [4.5449, 1.7010e-4, 0.50857, 7.5728e-4], 2: [1.2427, 4.5061e-3, 0.54354, 7.9385e-4]}
_WRITE = {1: [6.1454, 1.0027e-3, 0.66477, 8.2398e-4], 2: [2.4585, 4.4076e-3, 0.68545, 9.3086e-4]}
"""Coefficients of a constant, words, bits per word, and bits, by least squares; pJ."""
_ACCESS = {
    1: [-0.47770, 0.44165, 9.4595e-3, 8.0574e-5],
    2: [3.5267, -0.099961, 5.618e-3, 2.0010e-3],
}
"""Coefficients of a constant, doublings of the depth, bits per word, and words; ns."""
_LEAKAGE = {1: 0.012086, 2: 0.019464}  # nW per bit
_SETUP = 0.3  # ns
_CAPACITANCE = 0.006  # pF per pin
_SCALE, _VOLTAGE = 0.13, 1.2  # um, V: IHP SG13G2


def modelled(depth: int, width: int, ports: int, target: Target) -> Macro:
    """Return a modelled SRAM of exactly this size, with its Liberty file in the cache.

    The model is a least-squares fit to the 18 one-port and 10 two-port macros of IHP SG13G2.
    ``bench/srams.py`` prints the coefficients and the residuals: area within 9 %, energy 12 %,
    access 15 %. It is scaled by the constant-field rules: lengths by s, areas by s^2, times by
    s^2/v (capacitance times voltage over current), energies by s v^2, where s and v are the ratios
    of the lengths and of the voltages.
    """
    s = target.estimate["scale"] / _SCALE
    v = target.estimate["voltage"] / _VOLTAGE
    sizes = np.array([1, depth, width, depth * width])
    figures = {
        "area": s * s * np.dot(_AREA[ports], sizes),
        "read": s * v * v * np.dot(_READ[ports], sizes),
        "write": s * v * v * np.dot(_WRITE[ports], sizes),
        "access": s * s / v * np.dot(_ACCESS[ports], [1, log2(max(depth, 64)), width, depth]),
        "setup": s * s / v * _SETUP,
        "leakage": _LEAKAGE[ports] * depth * width,
        "capacitance": s * _CAPACITANCE,
    }
    name = f"implicore_sram_{ports}p_{depth}x{width}"
    voltage = target.estimate["voltage"]
    content = _liberty(name, depth, width, ports, voltage, figures)

    def make(folder: Path) -> None:
        (folder / f"{name}.lib").write_text(content, encoding="utf-8")

    folder = cached("sram", content, make)
    return Macro(name, depth, width, ports, folder / f"{name}.lib", PINS)


def _liberty(
    name: str, depth: int, width: int, ports: int, voltage: float, figures: dict[str, float]
) -> str:
    """Return a Liberty file of the same structure as that of a kit's macro."""
    address = max(1, (depth - 1).bit_length())
    setup = "".join(
        f'timing() {{ related_pin : "{{clock}}"; timing_type : {kind}_rising; '
        f'rise_constraint(scalar) {{ values("{time}"); }} '
        f'fall_constraint(scalar) {{ values("{time}"); }} }}'
        for kind, time in (("setup", figures["setup"]), ("hold", 0.0))
    )
    load = f"direction : input; capacitance : {figures['capacitance']};"
    lines = [
        f"library({name}) {{",
        "delay_model : table_lookup;",
        'time_unit : "1ns"; voltage_unit : "1V"; current_unit : "1uA";',
        'pulling_resistance_unit : "1kohm"; leakage_power_unit : "1nW";',
        "capacitive_load_unit(1, pf);",
        f"nom_voltage : {voltage};",
        *(
            f"{kind}_threshold_pct_{edge} : {percent};"
            for kind, percent in (
                ("input", 50),
                ("output", 50),
                ("slew_lower", 20),
                ("slew_upper", 80),
            )
            for edge in ("rise", "fall")
        ),
    ]
    for bits in sorted({address, width}):
        lines.append(
            f"type(bits_{bits}) {{ base_type : array; data_type : bit; bit_width : {bits}; "
            f"bit_from : {bits - 1}; bit_to : 0; downto : true; }}"
        )
    lines.append(f"cell({name}) {{ area : {figures['area']};")
    lines.append(f"cell_leakage_power : {figures['leakage']};")
    for prefix in PINS["ports"][:ports]:
        clock, enable, write, read, pins_address, data_in, data_out = (
            prefix + PINS[pin]
            for pin in ("clock", "enable", "write", "read", "address", "data_in", "data_out")
        )
        lines.append(f"pin({clock}) {{ {load} clock : true;")
        for energy, when in (
            (figures["write"], f"{enable} & {write} & !{read}"),
            (figures["read"], f"{enable} & !{write} & {read}"),
        ):
            lines.append(
                f'internal_power() {{ when : "{when}"; rise_power(scalar) {{ values("{energy}"); }}'
                ' fall_power(scalar) { values("0"); } }'
            )
        lines.append("}")
        checks = setup.replace("{clock}", clock)
        lines += [f"pin({pin}) {{ {load} {checks} }}" for pin in (enable, write, read)]
        lines += [
            f"bus({pin}) {{ bus_type : bits_{bits}; {load} {checks} }}"
            for pin, bits in ((pins_address, address), (data_in, width))
        ]
        delays = "".join(
            f'{table}(scalar) {{ values("{value}"); }} '
            for table, value in (
                ("cell_rise", figures["access"]),
                ("cell_fall", figures["access"]),
                ("rise_transition", 0.1),
                ("fall_transition", 0.1),
            )
        )
        lines.append(
            f"bus({data_out}) {{ bus_type : bits_{width}; direction : output; timing() {{ "
            f'related_pin : "{clock}"; timing_type : rising_edge; {delays}}} }}'
        )
    return "\n".join(lines) + "\n}\n}\n"
