"""A long random run of one accelerator in one process, without a restart.

    python bench/soak.py [--config point|patch] [--cycles 50000000] [--seed 1] [--json FILE]

Random programs, jobs, aborts, resets, damaged and incomplete programs are streamed through the
compiled simulator, with stalls of changing probability. Every voxel is compared with the golden
model's and, where nothing stalls, the cycles with those predicted. The exit code is 1 if anything
differs or if the memory of either process grows.
"""

import os
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from harness import parser, run

from implicore.accelerator_config import AcceleratorConfig
from implicore.atomic import write_json
from implicore.errors import BadInput
from implicore.formats import Formats
from implicore.network_shape import NetworkShape
from implicore.random_program import random_program
from implicore.sim import fast, session
from implicore.sim.cases import STALLS, STEPS, WEIGHTS, Size, add_step, random_patch, random_shape
from implicore.sim.interactive import InteractiveSimulator
from implicore.sim.script import Script

POINT = NetworkShape(5, 11, 5, (2, 3, 4, 5))
PATCH = replace(POINT, outputs=11)
CONFIGS = {
    "point": AcceleratorConfig.sized(5, 3, Formats.parse("w7a9m4"), [POINT]),
    "patch": replace(
        AcceleratorConfig.sized(3, 5, Formats.parse("w6a8"), [PATCH]), lanes=2, voxels_per_beat=4
    ),
}
"""Small arrays with odd sides; memory for every network up to ``POINT`` and ``PATCH``."""

STEPS_PER_PROGRAM = 20
"""Steps with the same programs and probability of a stall."""

POINTS = 800
"""Most points of a job."""

FLAT_MIB = 8
"""Largest growth of a process, in MiB, that counts as flat."""


def resident_mib(*processes: int) -> list[float]:
    """Return the resident memory of each process, in MiB."""
    pages = [int(Path(f"/proc/{number}/statm").read_text().split()[1]) for number in processes]
    return [count * os.sysconf("SC_PAGE_SIZE") / 2**20 for count in pages]


class Soak:
    """The run: draws steps, sends them to the simulator and checks the responses.

    Parameters
    ----------
    config : AcceleratorConfig
    seed : int
    simulator : InteractiveSimulator
    """

    def __init__(self, config: AcceleratorConfig, seed: int, simulator: InteractiveSimulator):
        self.config = config
        self.rng = np.random.default_rng(seed)
        self.simulator = simulator
        self.script = Script(config)
        self.counts = Counter()
        self.mismatches = []
        self.cycles = 0
        """Cycles of the jobs so far; the simulator reports all cycles at its end."""
        simulator.send(session.header(0.0, seed).tobytes())

    def steps(self) -> None:
        """Run some steps with new programs and another probability of a stall."""
        size = Size(
            frequencies=self.config.frequencies,
            width=self.config.width,
            depth=self.config.depth,
            outputs=self.config.outputs,
            points=POINTS,
        )
        programs = [self._program(size) for _ in range(2)]
        self.script.stalls(float(self.rng.choice(STALLS)))
        for step in map(str, self.rng.choice(STEPS, STEPS_PER_PROGRAM)):
            self.counts[step] += 1
            add_step(self.script, step, self.rng, programs, size)
            self._run()

    def _program(self, size: Size):
        shape = random_shape(self.rng, size)
        weights = str(self.rng.choice(WEIGHTS))
        patch = random_patch(self.rng, shape.outputs)
        seed = int(self.rng.integers(1 << 31))
        return random_program(shape, self.config.formats, seed=seed, weights=weights, patch=patch)

    def _run(self) -> None:
        """Send the operations of the script, one at a time, and check and forget them."""
        script, values = self.script, []
        for operation in script.operations:
            self.simulator.send(session.words_of(operation).tobytes())
            values.append(session.response_to(operation, self._take))
            if isinstance(operation, session.Send):
                self.counts["program streams"] += 1
            if isinstance(operation, session.Decode):
                self.counts["voxels"] += len(values[-1].voxels)
            if operation == session.Read("cycles"):  # a complete job
                self.counts["jobs"] += 1
                self.cycles += values[-1]
        found = script.mismatches(session.Responses(values, 0, 0.0))
        self.mismatches += found
        for sentence in found:
            print(sentence, flush=True)
        script.operations.clear()
        script.expected.clear()

    def _take(self, count: int) -> np.ndarray:
        return np.frombuffer(self.simulator.receive(4 * count), "<u4")


def soak(name: str, cycles: int, seed: int) -> dict:
    """Run one accelerator for at least so many cycles and return the results by name."""
    executable = fast.build(CONFIGS[name]).executable
    begin = time.perf_counter()
    with InteractiveSimulator([executable, "-", "-"]) as simulator:
        run = Soak(CONFIGS[name], seed, simulator)
        memory, shown = [], 0
        while run.cycles < cycles and not run.mismatches:
            run.steps()
            # The first steps allocate what all later ones use again.
            if not memory and run.cycles >= min(cycles // 50, 10**6):
                memory.append(resident_mib(simulator.pid, os.getpid()))
            if run.cycles // 10**7 > shown:
                shown = run.cycles // 10**7
                print(f"  {run.cycles:,} cycles of jobs, {run.counts['jobs']:,} jobs", flush=True)
        memory.append(resident_mib(simulator.pid, os.getpid()))
        ends = np.frombuffer(simulator.finish(), "<u4").view("<u8")
    seconds = time.perf_counter() - begin
    start, end = memory[0], memory[-1]
    return {
        "config": name,
        "seed": seed,
        "cycles": int(ends[0]),
        "seconds": seconds,
        "cycles_per_second": int(ends[0]) / seconds,
        **run.counts,
        "mismatches": len(run.mismatches),
        "simulator_mib": [start[0], end[0]],
        "driver_mib": [start[1], end[1]],
    }


def main() -> int:
    """Run the soak, print the results, and return 1 if anything differs or memory grows."""
    arguments = parser(__doc__)
    arguments.add_argument("--config", choices=CONFIGS, default="point")
    arguments.add_argument("--cycles", type=int, default=50_000_000)
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    if options.cycles < 1:
        raise BadInput(f"--cycles must be at least 1, not {options.cycles}.")
    result = soak(options.config, options.cycles, options.seed)
    for key, value in result.items():
        if isinstance(value, list):
            text = " to ".join(f"{number:.1f}" for number in value)
        else:
            text = value if isinstance(value, str) else f"{value:,.0f}"
        print(f"{key:20} {text}")
    if options.json:
        write_json(options.json, result)
    grown = max(result[name][1] - result[name][0] for name in ("simulator_mib", "driver_mib"))
    if grown > FLAT_MIB:
        print(f"The memory of a process grew by {grown:.1f} MiB, more than {FLAT_MIB}.")
    return int(result["mismatches"] > 0 or grown > FLAT_MIB)


if __name__ == "__main__":
    run(main)
