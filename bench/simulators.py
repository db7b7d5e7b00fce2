"""Speed of the simulators on one accelerator, one program and the same points.

    python bench/simulators.py [ACCELERATOR:NETWORK] [--json FILE]

Rates are cycles per second of processor time on one core, so other processes do not matter. Each
simulator decodes as many points as it can in about a minute. Voxels must equal the golden model's,
and cycles must equal the predicted cycles.
"""

import argparse
import json
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from implicore.accelerator_config import ACCELERATORS
from implicore.fixed import COORDINATE
from implicore.network_shape import NETWORKS
from implicore.random_program import random_program
from implicore.sim import cosim, fast
from implicore.sim.script import Script

TILES = {"icarus": 1, "verilator": 40, "fast": 1000}
"""Voxel tiles that each simulator decodes."""


def processor_seconds() -> float:
    """Return the processor time of all child processes so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(simulator: str, config, program) -> dict:
    """Build and run one simulator; return the results by name."""
    points = np.random.default_rng(1).integers(
        COORDINATE.low, COORDINATE.high + 1, (TILES[simulator] * config.rows, 3)
    )
    script = Script(config)
    script.load(program)
    script.points(points)
    started, used = time.perf_counter(), processor_seconds()
    model = fast.build(config) if simulator == "fast" else cosim.build(config, simulator)
    built, used_building = time.perf_counter() - started, processor_seconds() - used
    used = processor_seconds()
    responses = model.run(script.operations)
    used = processor_seconds() - used
    return {
        "simulator": simulator,
        "voxels": len(points),
        "complaints": script.mismatches(responses),
        "build_seconds": round(built, 1),
        "build_processor_seconds": round(used_building, 1),
        "simulated_cycles": responses.cycles,
        "seconds": round(responses.seconds, 2),
        "processor_seconds": round(used, 2),
        "cycles_per_second": round(responses.cycles / used),
    }


def main(argv=None) -> int:
    """Measure all; return 1 on a mismatch or if the compiled simulator is not 10 times as fast."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pair", nargs="?", default="medium:demo", metavar="ACCELERATOR:NETWORK")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    accelerator, network = arguments.pair.split(":")
    config = ACCELERATORS[accelerator]
    # The network keeps its width, but has few layers, so that the slow simulators finish.
    shape = replace(NETWORKS[network], depth=2, skips=())
    program = random_program(shape, config.formats, seed=1)
    results = []
    for simulator in TILES:
        result = measure(simulator, config, program)
        results.append(result)
        print(
            f"{simulator:10} {result['cycles_per_second']:>8} cycles/s, "
            f"{result['simulated_cycles']} cycles in {result['processor_seconds']} s, "
            f"built in {result['build_processor_seconds']} s (processor time)",
            *result["complaints"],
            flush=True,
        )
    rate = {result["simulator"]: result["cycles_per_second"] for result in results}
    ratio = rate["fast"] / rate["verilator"]
    print(f"compiled / Verilator under cocotb: {ratio:.1f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")
    return 1 if any(result["complaints"] for result in results) or ratio < 10 else 0


if __name__ == "__main__":
    sys.exit(main())
