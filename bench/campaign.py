"""Random accelerators, networks and jobs, compared with golden model and predicted cycles.

    python bench/campaign.py --count 300 --seed 1 [--json FILE]

Each seed is a case, see ``implicore.sim.cases``. A case that fails is reduced, and the command that
reproduces it is printed. The exit code is 1 if any case failed.
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

    def reach(values):
        values = list(values)
        return [min(values), max(values)]

    configs = {case.config.digest: case.config for case in cases}.values()
    return {
        "cases": len(cases),
        "accelerators": len(configs),
        "networks": len(shapes),
        "rows": reach(config.rows for config in configs),
        "columns": reach(config.columns for config in configs),
        "unequal sides": sum(config.rows != config.columns for config in configs),
        "lanes": reach(config.lanes for config in configs),
        "gated": sum(config.gate_zeros for config in configs),
        "weight bits": reach(config.formats.weight_bits for config in configs),
        "activation bits": reach(config.formats.activation_bits for config in configs),
        "multiplier bits": reach(config.formats.multiplier_bits for config in configs),
        "table address bits": reach(config.formats.table_address_bits for config in configs),
        "output bits": reach(config.formats.output_bits for config in configs),
        "depth": reach(shape.depth for shape in shapes),
        "width": reach(shape.width for shape in shapes),
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
        found = run(case, arguments.simulator)
        print(f"{seed:6} {'FAILED' if found else 'ok    '} {case.describe()}", flush=True)
        if not found:
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
        os.environ.setdefault("IMPLICORE_CACHE", folder)  # hundreds of builds used once
        sys.exit(main())
