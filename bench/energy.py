"""Gate-level energy of decoding: by block, relative to a bare unit, with and without zero gating.

    python bench/energy.py PROGRAM [--config medium] [--target ihp-sg13g2] [--long TILES]

``--long`` also measures a window of that many voxel tiles, to validate the short window.
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
        metrics = energy.measure(design, program, clock)
        seconds = perf_counter() - begin
        results[gated] = metrics, design
        print(f"zeros {'gated' if gated else 'not gated'}: {clock:.0f} MHz, {seconds:.0f} s")
        bare = metrics["bare"]
        for name in ("power_mw", "pj_per_mac", "nj_per_voxel", "mj_per_slice", "pe_pj"):
            print(f"  {name:16} {metrics[name]:10.3f}")
        for name in ("pj", "pe_energy", "accelerator_energy", "pe_area", "logic_area"):
            print(f"  bare {name:16} {bare[name]:10.3f}")
        pj_per_mw = metrics["pj_per_mac"] / metrics["power_mw"]  # per multiply-accumulate
        for block, power in sorted(
            metrics["power_blocks"].items(), key=lambda item: -item[1]["power_mw"]
        ):
            mw = power["power_mw"]
            print(f"  {block:18} {mw:9.2f} mW {mw * pj_per_mw:7.3f} pJ")
        if options.long:
            long_run = energy.simulate(design, program, tiles=options.long)
            long_mw = energy.summary(design, program, long_run, clock)["power_mw"]
            error = metrics["power_mw"] / long_mw - 1
            print(
                f"  {options.long} tiles: {long_mw:.1f} mW; "
                f"{energy.WINDOW_TILES} tiles {error:+.1%}"
            )
    (plain_metrics, plain_design), (gated_metrics, gated_design) = results[False], results[True]
    areas = [design.modules[asic.PE].area_um2 for design in (plain_design, gated_design)]
    print(f"zero activations {plain_metrics['bare']['zero_activations']:.1%}; gating them:")
    print(f"  PE {areas[1] / areas[0] - 1:+.1%} area, ", end="")
    print(f"{gated_metrics['pe_pj'] / plain_metrics['pe_pj'] - 1:+.1%} energy")
    change = gated_metrics["pj_per_mac"] / plain_metrics["pj_per_mac"] - 1
    print(f"  accelerator {change:+.1%} energy")


if __name__ == "__main__":
    main()
