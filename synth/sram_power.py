"""Energy of the SRAMs of a circuit at some activity."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .activity import Activity
from .circuit import HIGH, LOW, Circuit
from .slews import CLOCK_SLEW_NS, sram_nets


def sram_energies(circuit: Circuit, number: int, activity: Activity) -> Iterator[tuple[str, float]]:
    """Yield the energies of one SRAM, all bit lanes together, pin by pin.

    Parameters
    ----------
    circuit : Circuit
    number : int
        Index of the SRAM in the circuit.
    activity : Activity

    Yields
    ------
    str, float
        The attribute of ``Part`` that an energy belongs to, and the energy.
    """
    sram = circuit.srams[number]
    macro, cell = sram.macro, sram.macro.cell
    square = cell.library.voltage**2
    clocks = [prefix + macro.pins["clock"] for prefix in macro.prefixes]
    highs = {}
    for pin, group in cell.pins.items():
        if group.kind == "pin":
            net = next(iter(sram_nets(circuit, sram, pin)), LOW)
            full = activity.cycles * circuit.bit_lanes[net]
            highs[pin] = 1.0 if net == HIGH else float(activity.highs[net] / full)
    for pin, capacitance in cell.capacitance.items():
        if pin in clocks:
            yield "clock", sram.group.bit_lanes * capacitance * square
            continue
        nets = sram_nets(circuit, sram, pin)
        changes = float(np.sum(activity.toggles[nets])) / activity.cycles
        pin_energy = sum(
            float(arc.at(CLOCK_SLEW_NS, 0.0)) * (arc.when.probability(highs) if arc.when else 1)
            for arc in cell.energy[pin]
        )
        yield "switching", changes * capacitance * square / 2
        yield "internal", changes * pin_energy
    for write, counts in ((False, activity.reads), (True, activity.writes)):
        count = int(counts[number]) / activity.cycles
        yield "access", count * macro.energy_pj(write=write)
    yield "leakage_mw", sram.group.bit_lanes * macro.leakage_mw
