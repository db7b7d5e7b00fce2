"""The sessions whose coverage is measured: random steps, and directed ones that reach the rest."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from implicore.accelerator_config import AcceleratorConfig
from implicore.fixed import COORDINATE, FREQUENCY
from implicore.formats import Formats
from implicore.network_shape import NetworkShape
from implicore.program import Program
from implicore.random_program import random_program
from implicore.sim.cases import STALLS, STEPS, Size, add_step
from implicore.sim.script import Script

from . import directed


@dataclass(frozen=True)
class Subject:
    """An accelerator whose coverage is measured, and the networks that it decodes.

    Attributes
    ----------
    config : AcceleratorConfig
    shapes : tuple of NetworkShape
        The first one is the largest in every respect.
    long : bool
        Whether jobs are so long that the counters reach their second part.
    """

    config: AcceleratorConfig
    shapes: tuple[NetworkShape, ...]
    long: bool = False


def subject(rows: int, columns: int, formats: str, *, outputs: int = 1, **fields) -> Subject:
    """Return an accelerator for networks of all kinds, sized to hold exactly the largest one."""
    width = columns + 2
    per_beat = fields.get("voxels_per_beat", 1)
    largest = NetworkShape(5, width, 4, (2, 3, 4), outputs)
    shapes = [
        largest,
        NetworkShape(1, columns, 2),
        NetworkShape(3, columns + 1, 3, (2,), max(1, outputs // per_beat * per_beat)),
        NetworkShape(2, max(1, columns - 1), 3, (3,)),
        NetworkShape(2, 1, 4, (), outputs),
        NetworkShape(4, width, 1),
        NetworkShape(5, 2, 1, (), outputs),
        NetworkShape(2, width, 4),
        NetworkShape(3, 3, 2, (2,), min(outputs, columns)),
    ]
    weights = {name: value for name, value in fields.items() if name == "weight_word_bits"}
    parsed = Formats.parse(formats)
    config = AcceleratorConfig.sized(rows, columns, parsed, shapes, **weights)
    return Subject(replace(config, **fields), tuple(shapes))


SUBJECTS = {
    "point": replace(subject(3, 4, "w8a12"), long=True),
    "smallest": subject(1, 1, "w4a4m0t6c20o8"),
    "patch": subject(3, 2, "w5a8m4o16", outputs=3, voxels_per_beat=1, protection="parity"),
    "patch-2": subject(2, 3, "w4a8m1", outputs=7, voxels_per_beat=2, lanes=2, protection="secded"),
    "patch-4": subject(
        5, 4, "w6a7m8t13o12", outputs=7, voxels_per_beat=4, lanes=2, gate_zeros=True
    ),
    "rows": subject(17, 2, "w4a5m0t8c20o8", outputs=11, voxels_per_beat=8, lanes=13),
    "columns": subject(2, 17, "w4a6m3t7", voxels_per_beat=2, weight_word_bits=4),
}
"""The accelerators, by name: single voxels and patches, every width of a beat, every protection,
one PE, more than one fan-out group of rows and of weight banks, and so many lanes that a released
half waits."""


def script_of(given: Subject, *, seed: int = 0, steps: int = 40) -> Script:
    """Return the session of an accelerator.

    Parameters
    ----------
    given : Subject
    seed : int
    steps : int
        Random steps with each probability of a stall.
    """
    programs = draw_programs(given, seed)
    script = Script(given.config)
    rng = np.random.default_rng(seed)
    directed.all_programs(script, rng, programs)
    directed.errors(script, programs)
    directed.rejected_jobs(script, programs[0])
    directed.registers(script, rng, programs[0])
    directed.interrupted_loads(script, programs[1])
    directed.large_grid(script, programs[1])
    directed.sweeps(script, rng, (programs[2], programs[6], programs[3]))
    if given.long:
        directed.long_stalls(script, rng, programs)
    for stall in (*sorted(set(STALLS)), 0.97):
        script.stalls(stall)
        _random_steps(script, rng, programs, steps if stall < 0.9 else steps // 4)
    script.stalls(0.3)
    directed.sweeps(script, rng, (programs[2],))
    return script


def draw_programs(given: Subject, seed: int) -> list[Program]:
    """Return programs of every shape, of extreme integers, and one whose voxels are all 0."""
    formats = given.config.formats
    result = [random_program(shape, formats, seed=seed + n) for n, shape in enumerate(given.shapes)]
    for weights in ("max", "min", "zero"):
        result.append(random_program(given.shapes[0], formats, seed=seed, weights=weights))
    black = tuple(replace(layer, offsets=0 * layer.offsets) for layer in result[-1].layers)
    black = replace(result[-1], layers=black)
    return [*result, black, _extreme(result[0]), _corners(result[0])]


def _extreme(program: Program) -> Program:
    """Return a program with every shift, and the limits of offsets and multipliers."""
    formats = program.formats
    offset = 1 << (formats.offset_bits - 1)
    layers, first = [], 0
    for layer in program.layers:
        numbers = np.arange(first, first + len(layer.shifts))
        first += len(layer.shifts)
        layers.append(
            replace(
                layer,
                shifts=numbers * 5 % 64,
                offsets=np.where(numbers % 2, offset - 1, -offset),
                multipliers=np.where(numbers % 3, max(1, (1 << formats.multiplier_bits) - 1), 1),
            )
        )
    frequencies = program.frequencies.copy()
    frequencies[0] = FREQUENCY.high, FREQUENCY.low, 0
    return replace(program, layers=tuple(layers), frequencies=frequencies)


def _corners(program: Program) -> Program:
    """Return a program whose first frequency turns a coordinate into its phase, bit for bit."""
    frequencies = program.frequencies.copy()
    frequencies[0] = 1 << (COORDINATE.fraction + FREQUENCY.fraction - COORDINATE.bits), 0, 0
    return replace(program, frequencies=frequencies)


def _random_steps(script: Script, rng, programs: list[Program], steps: int) -> None:
    size = Size(points=4 * script.config.rows)
    add_step(script, "early", rng, programs, size)
    for step in rng.choice(STEPS, steps):
        add_step(script, str(step), rng, programs, size)
