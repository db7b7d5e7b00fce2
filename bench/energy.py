"""Gate-level energy of a decode: by block, next to the bare unit, with and without gated zeros.

    python bench/energy.py PROGRAM [--config medium] [--target ihp-sg13g2] [--long TILES]

``--long`` also measures a window of that many voxel tiles, to validate the short one.
"""

import argparse
from dataclasses import replace
from time import perf_counter

from implicore.config_file import read_config
from implicore.program import Program
from implicore.synth import asic, energy, target


def main() -> None:
    """Measure and print both variants."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--config", default="medium")
    parser.add_argument("--target", default="ihp-sg13g2")
    parser.add_argument("--long", type=int, default=0)
    options = parser.parse_args()
    program, cells = Program.load(options.program), target.find(options.target)
    plain = read_config(options.config, [])
    results = {}
    for gated in (False, True):
        design = asic.map_accelerator(replace(plain, gate_zeros=gated), cells)
        clock = design.fmax_mhz
        begin = perf_counter()
        figures = energy.measure(design, program, clock)
        seconds = perf_counter() - begin
        results[gated] = figures, design
        print(f"zeros {'gated' if gated else 'not gated'}: {clock:.0f} MHz, {seconds:.0f} s")
        bare = figures["bare"]
        for name in ("power_mw", "pj_per_mac", "nj_per_voxel", "mj_per_slice", "pe_pj"):
            print(f"  {name:16} {figures[name]:10.3f}")
        for name in ("pj", "pe_energy", "machine_energy", "pe_area", "logic_area"):
            print(f"  bare {name:16} {bare[name]:10.3f}")
        macs = figures["pj_per_mac"] / figures["power_mw"]  # pJ per multiply-accumulate and mW
        for block, one in sorted(
            figures["power_blocks"].items(), key=lambda item: -item[1]["power_mw"]
        ):
            print(f"  {block:18} {one['power_mw']:9.2f} mW {one['power_mw'] * macs:7.3f} pJ")
        if options.long:
            found = energy.simulate(design, program, tiles=options.long)
            long = energy.summary(design, program, found, clock)["power_mw"]
            share = figures["power_mw"] / long - 1
            print(
                f"  {options.long} tiles: {long:.1f} mW; {energy.WINDOW_TILES} tiles {share:+.1%}"
            )
    (without, plain_design), (with_, gated_design) = results[False], results[True]
    areas = [one.modules[asic.PE].area_um2 for one in (plain_design, gated_design)]
    print(f"zero activations {without['bare']['zero_activations']:.1%}; gating them:")
    print(f"  PE {areas[1] / areas[0] - 1:+.1%} area, ", end="")
    print(f"{with_['pe_pj'] / without['pe_pj'] - 1:+.1%} energy")
    print(f"  machine {with_['pj_per_mac'] / without['pj_per_mac'] - 1:+.1%} energy")


if __name__ == "__main__":
    main()
