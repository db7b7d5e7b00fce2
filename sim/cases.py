"""Random cases: an accelerator, programs and jobs drawn from a seed, small enough to simulate."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from implicore.accelerator_config import BEATS, AcceleratorConfig
from implicore.ecc import PROTECTIONS
from implicore.errors import BadInput
from implicore.fixed import COORDINATE
from implicore.formats import Formats
from implicore.job import GridJob
from implicore.network_shape import NetworkShape
from implicore.patch import Patch, patch_name
from implicore.program import Program
from implicore.random_program import random_program
from implicore.registers import Error
from implicore.stream import HEADER, format_code, program_stream

from .script import Script

WEIGHTS = ("random", "random", "random", "max", "min", "zero")
STALLS = (0.0, 0.0, 0.05, 0.3, 0.8)
GROUP = 5
"""Number of successive seeds that share an accelerator: a build takes longer than a case."""

STEPS = ("points", "grid", "load", "damage", "abort", "reset", "part", "early")


@dataclass(frozen=True)
class Size:
    """Limits of a random case. A failing case is shrunk by lowering them."""

    side: int = 24
    frequencies: int = 12
    width: int = 40
    depth: int = 15
    points: int = 60
    outputs: int = 40
    steps: int = 5


@dataclass(frozen=True)
class Case:
    """The case of a seed.

    Attributes
    ----------
    seed : int
    config : AcceleratorConfig
    programs : list of Program
    steps : list of str
        What happens, from ``STEPS``.
    stall : float
        Probability of a stall.
    script : Script
    """

    seed: int
    config: AcceleratorConfig
    programs: list[Program]
    steps: list[str]
    stall: float
    script: Script

    def describe(self) -> str:
        """Return a description of one line."""
        config = self.config
        nets = "; ".join(
            f"L{s.frequencies} width {s.width} depth {s.depth} skips {list(s.skips)} patch {patch}"
            for s, patch in ((p.shape, patch_name(p.patch)) for p in self.programs)
        )
        return (
            f"{config.rows} x {config.columns} {config.formats} lanes {config.lanes}"
            f"{' gated' if config.gate_zeros else ''} voxels a beat {config.voxels_per_beat} "
            f"protection {config.protection}, "
            f"{nets}, stall {self.stall}, {' '.join(self.steps)}"
        )


def random_formats(rng) -> Formats:
    """Draw formats whose accumulator suffices for the largest network that is drawn."""
    weight, activation = (int(bits) for bits in rng.integers(4, 17, 2))
    return Formats(
        weight,
        activation,
        accumulator_bits=min(44, weight + activation + 8),
        multiplier_bits=int(rng.choice([0, 0, 1, 4, 8, 15])),
        table_address_bits=int(rng.integers(6, 15)),
        output_bits=int(rng.integers(8, 17)),
    )


def random_shape(rng, size: Size) -> NetworkShape:
    """Draw a network within the limits, with odd widths and skips."""
    depth = int(rng.choice([1, 2, 3, int(rng.integers(1, size.depth + 1))]))
    depth = min(depth, size.depth)
    skips = tuple(n for n in range(2, depth + 1) if rng.random() < 0.2)
    return NetworkShape(
        int(rng.integers(1, size.frequencies + 1)),
        int(rng.integers(1, size.width + 1)),
        depth,
        skips,
        outputs=int(rng.choice([1, 1, int(rng.integers(1, size.outputs + 1))])),
    )


def random_config(rng, formats: Formats, shapes, size: Size) -> AcceleratorConfig:
    """Draw an array that holds the networks, exactly or with memory to spare."""
    rows, columns = (int(rng.integers(1, size.side + 1)) for _ in range(2))
    config = AcceleratorConfig.sized(
        rows, columns, formats, shapes, gate_zeros=bool(rng.random() < 0.25)
    )
    room = {
        name: getattr(config, name) + int(rng.integers(0, 5))
        for name in ("frequencies", "width", "depth", "weight_depth", "constant_depth")
        if rng.random() < 0.5
    }
    if config.outputs > 1 and rng.random() < 0.5:
        room["outputs"] = config.outputs + int(rng.integers(0, 5))
    return replace(
        config,
        **room,
        lanes=int(rng.integers(1, rows + 1)),
        voxels_per_beat=int(rng.choice(BEATS)),
        protection=str(rng.choice(PROTECTIONS)),
    )


def random_patch(rng, voxels: int) -> Patch:
    """Draw a patch of so many voxels."""
    x = int(rng.choice([n for n in range(1, voxels + 1) if voxels % n == 0]))
    y = int(rng.choice([n for n in range(1, voxels // x + 1) if voxels // x % n == 0]))
    return x, y, voxels // x // y


def random_points(rng, count: int) -> np.ndarray:
    """Draw ``count`` points, int64 of shape (count, 3), often with the extreme coordinates."""
    points = rng.integers(COORDINATE.low, COORDINATE.high + 1, (count, 3))
    extreme = rng.choice([COORDINATE.low, -1, 0, COORDINATE.high], (count, 3))
    return np.where(rng.random((count, 3)) < 0.1, extreme, points)


def random_grid(rng, most: int) -> GridJob:
    """Draw a grid of at most ``most`` points with any increments that stay in the format."""
    shape = [1, 1, 1]
    for axis in rng.permutation(3):
        shape[axis] = int(rng.integers(1, max(1, most // int(np.prod(shape))) + 1))
    reach = 1 << 39
    ends = [tuple(rng.integers(-reach, reach, 3).tolist()) for _ in range(2)]
    origin = ends[0]
    # Every corner is within the format: the axes share the distance to the limits.
    steps = []
    for count in shape:
        room = [
            (min(o + reach, reach - o) - 1) // (3 * max(1, count - 1)) if count > 1 else 0
            for o in origin
        ]
        steps.append(tuple(int(rng.integers(-r, r + 1)) if r else 0 for r in room))
    return GridJob(tuple(shape), origin, tuple(steps))


def damaged(rng, program: Program, config: AcceleratorConfig) -> tuple[np.ndarray, Error]:
    """Return a damaged stream of a program, and the error that must reject it."""
    words = program_stream(program, config)
    kind = rng.integers(0, 5)
    if kind == 0:  # cut short, perhaps within the header
        return words[: int(rng.integers(1, len(words)))], Error.CUT_SHORT
    if kind == 1:
        return np.append(words, words[: int(rng.integers(1, 4))]), Error.TOO_LONG
    if kind == 2:  # one bit, anywhere behind the header
        at = int(rng.integers(len(HEADER) // 2, len(words)))
        return words ^ (np.arange(len(words)) == at) * np.uint32(1 << rng.integers(0, 32)), (
            Error.WRONG_CRC
        )
    items = words.view("<u2").copy()
    if kind == 3:
        name, value, error = [
            ("magic", 0, Error.NOT_A_PROGRAM),
            ("version", 9, Error.WRONG_VERSION),
            ("columns", config.columns + 1, Error.WRONG_COLUMNS),
            ("formats", format_code(config.formats) ^ 1, Error.WRONG_FORMATS),
        ][rng.integers(0, 4)]
    else:
        name, value, error = [
            ("frequencies", config.frequencies + 1, Error.TOO_MANY_FREQUENCIES),
            ("width", 0, Error.TOO_WIDE),
            ("depth", config.depth + 1, Error.TOO_DEEP),
            ("last_output", config.outputs, Error.TOO_MANY_OUTPUTS),
        ][rng.integers(0, 4)]
    items[HEADER.index(name)] = value
    return items.view("<u4"), error


def random_case(seed: int, size: Size | None = None, keep: list[int] | None = None) -> Case:
    """Return the case of a seed; with ``keep``, only those of its steps, to shrink it."""
    size = size or Size()
    group = np.random.default_rng([seed // GROUP, 1])
    formats = random_formats(group)
    shapes = [random_shape(group, size) for _ in range(2 * GROUP)]
    config = random_config(group, formats, shapes, size)
    first = 2 * (seed % GROUP)
    return _case(seed, config, shapes[first : first + 2], size, keep)


def case_on(config: AcceleratorConfig, seed: int, size: Size | None = None) -> Case:
    """Return the case of a seed on a given accelerator: random programs that fit it."""
    size = size or Size()
    limits = {
        name: min(getattr(size, name), getattr(config, name))
        for name in ("frequencies", "width", "depth", "outputs")
    }
    size = replace(size, **limits)
    rng = np.random.default_rng([seed, 3])
    shapes: list[NetworkShape] = []
    while len(shapes) < 2:
        shape = random_shape(rng, size)
        with suppress(BadInput):  # too large in all: weights, neurons
            config.check_holds(shape)
            shapes.append(shape)
    return _case(seed, config, shapes, size, None)


def _case(seed: int, config, shapes, size: Size, keep: list[int] | None) -> Case:
    """Return a case of one program or two of these shapes."""
    rng = np.random.default_rng([seed, 2])
    programs = []
    for shape in shapes[: 1 + int(rng.random() < 0.5)]:
        drawn, weights = int(rng.integers(1 << 31)), str(rng.choice(WEIGHTS))
        patch = random_patch(rng, shape.outputs)
        program = random_program(shape, config.formats, seed=drawn, weights=weights, patch=patch)
        programs.append(program)
    stall = float(rng.choice(STALLS))
    steps = ["points", *map(str, rng.choice(STEPS, size.steps - 1))]
    keep = list(range(len(steps))) if keep is None else keep
    script = Script(config, stall)
    for number in keep:
        # Each step has its own numbers, whatever stands before it.
        add_step(script, steps[number], np.random.default_rng([seed, number]), programs, size)
    return Case(seed, config, programs, [steps[number] for number in keep], stall, script)


def add_step(script: Script, step: str, rng, programs, size: Size) -> None:
    """Add a step from ``STEPS``, drawn within the limits, to a script."""
    program = programs[int(rng.integers(len(programs)))]
    count = int(rng.integers(1, size.points + 1))
    if step == "early":
        if not script.loaded:
            script.rejected(str(rng.choice(["start_grid", "start_points"])), Error.NO_PROGRAM)
        return
    if step == "damage":
        words, error = damaged(rng, program, script.config)
        script.load_damaged(words, error)
        return
    if step == "part":
        words = program_stream(program, script.config)
        script.load_part(words, int(rng.integers(1, len(words))))
        return
    if step == "load" or not script.loaded:
        script.load(program)
    if step == "grid":
        script.grid(random_grid(rng, count))
        return
    points = random_points(rng, count)
    if step in ("abort", "reset"):
        cycles = int(rng.integers(0, script.prediction(count).cycles + 1))
        script.interrupted(points, cycles, reset=step == "reset")
        if not script.loaded:
            script.load(program)
    script.points(points)
