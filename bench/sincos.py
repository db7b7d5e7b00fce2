"""The sine table compared with a CORDIC of equal accuracy: area, energy, clock, latency, error.

    python bench/sincos.py [--target ihp-sg13g2] [--json FILE]

Both map a phase of A bits to sine and cosine of A bits. The CORDIC is the smallest whose maximum
error over all phases is at most one unit, or the table's error if that is larger. Both are mapped
with the recipe that has the smallest product of area and period. Their netlists are simulated on
random phases, and every value is compared with the model. The table gives one value per cycle, the
CORDIC one pair; energies are per pair.
"""

import argparse
import json
import warnings
from itertools import product
from pathlib import Path

import numpy as np
from amaranth.back import verilog
from amaranth.hdl import UnusedElaboratable
from cordic import Cordic

from implicore.hw.sincos import SinCosTable
from implicore.sincos import SineTable
from implicore.synth import mapping
from implicore.synth.activity import replay
from implicore.synth.circuit import Circuit
from implicore.synth.liberty import read_liberty
from implicore.synth.netlist import Netlist
from implicore.synth.power import Power, total
from implicore.synth.target import find

BITS = (8, 10, 12, 14)
CYCLES, LANES = 400, 16


def error(bits: int, cosine: np.ndarray, sine: np.ndarray) -> float:
    """Compute the maximum error over all phases, in units of the output."""
    angle = 2 * np.pi * (np.arange(1 << bits) + 0.5) / (1 << bits)
    half = 1 << (bits - 1)
    return max(
        np.abs(half * exact - (value + 0.5 - half)).max()
        for exact, value in ((np.cos(angle), cosine), (np.sin(angle), sine))
    )


def smallest_cordic(bits: int, limit: float) -> tuple[Cordic, float]:
    """Return the CORDIC with the fewest register bits within an error limit, and its error."""
    warnings.simplefilter("ignore", UnusedElaboratable)  # most candidates are not elaborated
    phases = np.arange(1 << bits)
    sizes = product(range(bits - 3, bits + 3), range(0, 7))
    for turns, guard in sorted(sizes, key=lambda size: size[0] * (bits + size[1])):
        unit = Cordic(bits, bits, turns, guard)
        unit_error = error(bits, *unit.compute(phases))
        if unit_error <= limit:
            return unit, unit_error
    raise ValueError(f"No CORDIC of {bits} bits has an error of at most {limit}.")


def mapped(unit, name: str, target) -> mapping.Mapped:
    """Map a unit with the recipe that has the smallest product of area and period."""
    ports = [getattr(unit, port) for port in unit.signature.members]
    text = verilog.convert(unit, name=name, ports=ports, emit_src=False, strip_internal_attrs=True)
    candidates = mapping.map_all(
        mapping.RECIPES,
        lambda recipe: mapping.map_module(text, name, "", {}, recipe, target),
    )
    return min(candidates, key=lambda module: module.area_um2 * module.period_ns)


def energy(module: mapping.Mapped, inputs: dict, target) -> tuple[dict, float]:
    """Simulate a unit; return its outputs and its pJ per cycle."""
    library = read_liberty(target.liberty)
    netlist = Netlist.read(module.folder / "netlist.json", module.name)
    if "rst" in netlist.ports:
        inputs = {**inputs, "rst": np.zeros((CYCLES, LANES), int)}
    circuit = Circuit(module.name, {module.name: netlist}, library.cells, bit_lanes=LANES)
    outputs, activity = replay(circuit, inputs, first=40)
    return outputs, total(Power(circuit, library).parts(activity))["pj"] / LANES


def table_row(bits: int, target) -> dict:
    """Measure the table."""
    unit = SinCosTable(bits, bits)
    latency = unit.latency
    module = mapped(unit, f"table_{bits}", target)
    phases = np.random.default_rng(1).integers(0, 1 << bits, (CYCLES // 2, LANES))
    phase = np.repeat(phases, 2, axis=0)
    cosine = np.arange(CYCLES)[:, None] % 2 == np.zeros((1, LANES), int)
    outputs, pj = energy(module, {"phase": phase, "cosine": cosine.astype(int)}, target)
    table = SineTable(bits, bits)
    expected = np.where(cosine, table.cosines[phase], table.sines[phase])
    assert (outputs["value"][latency:] == expected[:-latency]).all()
    max_error = error(bits, table.cosines, table.sines)
    return row("table", bits, module, 2 * pj, latency + 1, max_error, pairs_per_cycle=0.5)


def cordic_row(bits: int, target, limit: float) -> dict:
    """Measure the CORDIC."""
    unit, max_error = smallest_cordic(bits, limit)
    latency = unit.latency
    shape = f"{unit.turns} turns, {unit.guard} guard bits"
    module = mapped(unit, f"cordic_{bits}", target)
    phase = np.random.default_rng(1).integers(0, 1 << bits, (CYCLES, LANES))
    outputs, pj = energy(module, {"phase": phase}, target)
    cosine, sine = unit.compute(phase)
    assert (outputs["cosine"][latency:] == cosine[:-latency]).all()
    assert (outputs["sine"][latency:] == sine[:-latency]).all()
    result = row("CORDIC", bits, module, pj, latency, max_error, pairs_per_cycle=1)
    return {**result, "shape": shape}


def row(name, bits, module, pj, latency, max_error, *, pairs_per_cycle) -> dict:
    """Make one row of the results."""
    mhz = 1000 / module.period_ns
    return {
        "unit": name,
        "bits": bits,
        "area_um2": module.area_um2,
        "mhz": mhz,
        "latency_cycles": latency,
        "pj_per_pair": pj,
        "mpairs_per_second": pairs_per_cycle * mhz,
        "pairs_per_second_per_um2": pairs_per_cycle * mhz * 1e6 / module.area_um2,
        "max_error_units": max_error,
    }


def main(argv=None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", default="ihp-sg13g2")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    target = find(arguments.target)
    rows = []
    print(f"{target.title}, {target.corner}")
    print("| Bits | Unit | um2 | MHz | Latency of a pair | pJ/pair | M pairs/s | Max. error |")
    print("|---|---|---|---|---|---|---|---|")
    for bits in BITS:
        table = table_row(bits, target)
        rows += [table, cordic_row(bits, target, max(1.0, table["max_error_units"]))]
        for result in rows[-2:]:
            print(
                f"| {bits} | {result['unit']} | {result['area_um2']:,.0f} | {result['mhz']:.0f} "
                f"| {result['latency_cycles']} | {result['pj_per_pair']:.2f} "
                f"| {result['mpairs_per_second']:.0f} | {result['max_error_units']:.2f} |",
                flush=True,
            )
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
