"""The sine table against a CORDIC of the same accuracy: area, energy, clock, latency, error.

    python bench/sincos.py [--target ihp-sg13g2] [--json FILE]

Both map a phase of A bits to sine and cosine of A bits. The CORDIC is the smallest whose greatest
error over all phases is at most one unit, or the table's error if that is greater. Both are mapped
by the recipe with the smallest product of area and period. Their netlists are simulated on random
phases, and every value is compared with the model's. The table gives one value per cycle, the
CORDIC a pair; energies are per pair.
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
    """Compute the greatest error over all phases, in units of the output."""
    angle = 2 * np.pi * (np.arange(1 << bits) + 0.5) / (1 << bits)
    half = 1 << (bits - 1)
    return max(
        np.abs(half * truth - (found + 0.5 - half)).max()
        for truth, found in ((np.cos(angle), cosine), (np.sin(angle), sine))
    )


def smallest_cordic(bits: int, limit: float) -> tuple[Cordic, float]:
    """Find the CORDIC with the fewest register bits within an error; return it and its error."""
    warnings.simplefilter("ignore", UnusedElaboratable)  # most are only computed with
    phases = np.arange(1 << bits)
    sizes = product(range(bits - 3, bits + 3), range(0, 7))
    for turns, guard in sorted(sizes, key=lambda size: size[0] * (bits + size[1])):
        unit = Cordic(bits, bits, turns, guard)
        found = error(bits, *unit.compute(phases))
        if found <= limit:
            return unit, found
    raise ValueError(f"No CORDIC of {bits} bits errs by at most {limit}.")


def mapped(unit, name: str, target) -> mapping.Mapped:
    """Map a unit by the recipe with the smallest product of area and period."""
    ports = [getattr(unit, port) for port in unit.signature.members]
    text = verilog.convert(unit, name=name, ports=ports, emit_src=False, strip_internal_attrs=True)
    found = mapping.map_all(
        mapping.RECIPES,
        lambda recipe: mapping.map_module(text, name, "", {}, recipe, target),
    )
    return min(found, key=lambda one: one.area_um2 * one.period_ns)


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
    found = error(bits, table.cosines, table.sines)
    return row("table", bits, module, 2 * pj, latency + 1, found, pairs_a_cycle=0.5)


def cordic_row(bits: int, target, limit: float) -> dict:
    """Measure the CORDIC."""
    unit, found = smallest_cordic(bits, limit)
    latency = unit.latency
    shape = f"{unit.turns} turns, {unit.guard} guard bits"
    module = mapped(unit, f"cordic_{bits}", target)
    phase = np.random.default_rng(1).integers(0, 1 << bits, (CYCLES, LANES))
    outputs, pj = energy(module, {"phase": phase}, target)
    cosine, sine = unit.compute(phase)
    assert (outputs["cosine"][latency:] == cosine[:-latency]).all()
    assert (outputs["sine"][latency:] == sine[:-latency]).all()
    return {**row("CORDIC", bits, module, pj, latency, found, pairs_a_cycle=1), "shape": shape}


def row(name, bits, module, pj, latency, found, *, pairs_a_cycle) -> dict:
    """Make one row of the results."""
    mhz = 1000 / module.period_ns
    return {
        "unit": name,
        "bits": bits,
        "area_um2": module.area_um2,
        "mhz": mhz,
        "latency_cycles": latency,
        "pj_per_pair": pj,
        "mpairs_per_second": pairs_a_cycle * mhz,
        "pairs_per_second_per_um2": pairs_a_cycle * mhz * 1e6 / module.area_um2,
        "max_error_units": found,
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
    print("| Bits | Unit | um2 | MHz | Cycles to a pair | pJ a pair | M pairs/s | Greatest error |")
    print("|---|---|---|---|---|---|---|---|")
    for bits in BITS:
        table = table_row(bits, target)
        rows += [table, cordic_row(bits, target, max(1.0, table["max_error_units"]))]
        for one in rows[-2:]:
            print(
                f"| {bits} | {one['unit']} | {one['area_um2']:,.0f} | {one['mhz']:.0f} "
                f"| {one['latency_cycles']} | {one['pj_per_pair']:.2f} "
                f"| {one['mpairs_per_second']:.0f} | {one['max_error_units']:.2f} |",
                flush=True,
            )
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
