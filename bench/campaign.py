"""Run random jobs on random accelerators; compare with the golden model and predicted cycles.

    python bench/campaign.py --count 300 --seed 1 [--json FILE]

Each seed gives one case, see ``implicore.sim.cases``. A failing case is reduced, and the command
that reproduces it is printed. The exit code is 1 if any case fails.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from implicore.sim.campaign import Recipe, run, shrink, simulator_of
from implicore.sim.cases import Size


def spread(cases) -> dict:
    """Summarize what the cases covered: counts and extremes by name."""
    shapes = [program.shape for case in cases for program in case.programs]

    def extremes(values):
        values = list(values)
        return [min(values), max(values)]

    configs = {case.config.digest: case.config for case in cases}.values()
    return {
        "cases": len(cases),
        "accelerators": len(configs),
        "networks": len(shapes),
        "rows": extremes(config.rows for config in configs),
        "columns": extremes(config.columns for config in configs),
        "unequal sides": sum(config.rows != config.columns for config in configs),
        "lanes": extremes(config.lanes for config in configs),
        "gated": sum(config.gate_zeros for config in configs),
        "protection": dict(Counter(config.protection for config in configs)),
        "outputs": extremes(shape.outputs for shape in shapes),
        "with several outputs": sum(shape.outputs > 1 for shape in shapes),
        "voxels per beat": dict(Counter(config.voxels_per_beat for config in configs)),
        "weight bits": extremes(config.formats.weight_bits for config in configs),
        "activation bits": extremes(config.formats.activation_bits for config in configs),
        "multiplier bits": extremes(config.formats.multiplier_bits for config in configs),
        "table address bits": extremes(config.formats.table_address_bits for config in configs),
        "output bits": extremes(config.formats.output_bits for config in configs),
        "depth": extremes(shape.depth for shape in shapes),
        "width": extremes(shape.width for shape in shapes),
        "with skips": sum(bool(shape.skips) for shape in shapes),
        "skips into the last layer": sum(shape.depth in shape.skips for shape in shapes),
        "steps": dict(Counter(step for case in cases for step in case.steps)),
        "stalls": dict(Counter(str(case.stall) for case in cases)),
        "simulators": dict(Counter(simulator_of(case) for case in cases)),
    }


def main(argv=None) -> int:
    """Run the cases; return 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1, help="seed of the first case")
    parser.add_argument("--size", default="", help="limits, as in side=4,depth=2")
    parser.add_argument("--keep", default="", help="numbers of the steps to keep, as in 0,2")
    parser.add_argument("--simulator", choices=["icarus", "verilator", "fast"])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    limits = [part.split("=") for part in arguments.size.split(",") if part]
    size = Size(**{name: int(value) for name, value in limits})
    keep = tuple(int(part) for part in arguments.keep.split(",") if part)
    keep = keep or tuple(range(size.steps))

    begin, cases, failed = time.perf_counter(), [], {}
    for seed in range(arguments.seed, arguments.seed + arguments.count):
        recipe = Recipe(seed, size, keep)
        case = recipe.case()
        cases.append(case)
        failures = run(case, arguments.simulator)
        print(f"{seed:6} {'FAILED' if failures else 'ok    '} {case.describe()}", flush=True)
        if not failures:
            continue
        small = shrink(recipe, lambda case: bool(run(case, arguments.simulator)))
        failed[seed] = small.command()
        print("\n".join(f"       {line}" for line in run(small.case(), arguments.simulator)))
        print(f"       smallest: {small.case().describe()}\n       {small.command()}", flush=True)
    result = {"seed": arguments.seed, "failed": failed, **spread(cases)}
    result["seconds"] = round(time.perf_counter() - begin, 1)
    print(json.dumps(result, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("IMPLICORE_CACHE", folder)  # hundreds of builds, each used once
        sys.exit(main())
