"""Tests that accompany the generated Verilog and run without implicore."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from implicore.accelerator_config import AcceleratorConfig
from implicore.atomic import atomic_write
from implicore.dataflow import neurons, weight_words
from implicore.fixed import COORDINATE
from implicore.job import GridJob
from implicore.network_shape import NetworkShape
from implicore.program import Program
from implicore.random_program import random_program

from . import session
from .script import Script

STALL = 0.3
"""Probability of a stall in the session with stalls."""

SCALE = 0.35
"""Scale of the grid that is decoded, which needs only a few voxels."""


def write_tests(
    folder: str | Path, config: AcceleratorConfig, program: Program | None = None
) -> list[str]:
    """Write a cocotb bench, golden vectors and a script that runs them into ``folder/tests``.

    Parameters
    ----------
    folder : path-like
        The folder in which ``generate`` wrote the Verilog of the configuration.
    config : AcceleratorConfig
    program : Program, optional
        The program to decode. The default is a small random one.

    Returns
    -------
    list of str
        The files, relative to ``folder``.

    Raises
    ------
    BadInput
        If the program does not fit the configuration.
    """
    program = program or random_program(smallest_shape(config), config.formats, seed=1)
    tests = Path(folder) / "tests"
    bench, run = (
        Path(__file__).with_name(name).read_text(encoding="utf-8")
        for name in ("accelerator_bench.py", "bundle_run.py")
    )
    texts = {
        "accelerator_bench.py": bench.replace(
            "The operations are described in ``session.py``.", str(session.__doc__).strip()
        ),
        "run.py": run,
    }
    written = []
    for name, text in texts.items():
        tests.mkdir(parents=True, exist_ok=True)
        with atomic_write(tests / name) as temporary:
            Path(temporary).write_text(text, encoding="utf-8")
        written.append(f"tests/{name}")
    for name, stall in (("exact", 0.0), ("stalled", STALL)):
        script = _script(config, program, stall)
        words = {
            "session": session.encode(script.operations, stall, seed=1),
            "expected": script.expected_words(),
        }
        (tests / name).mkdir(exist_ok=True)
        for file, content in words.items():
            with atomic_write(tests / name / file) as temporary:
                Path(temporary).write_bytes(content.astype("<u4").tobytes())
            written.append(f"tests/{name}/{file}")
    return written


def smallest_shape(config: AcceleratorConfig) -> NetworkShape:
    """Return a small network, with a skip connection and the output-layer MAC if they fit.

    Hardware for several outputs gets a network of several outputs, which needs no such MAC.
    """
    for depth, width, skips in ((4, 5, (3,)), (3, 3, (2,)), (2, 2, ()), (1, 1, ())):
        frequencies, outputs = min(3, config.frequencies), min(5, config.outputs)
        shape = NetworkShape(frequencies, min(width, config.width), depth, skips, outputs)
        fits = depth <= config.depth and neurons(shape) <= config.constant_depth
        if fits and weight_words(shape, config.columns) <= config.weight_depth:
            return shape
    return NetworkShape(1, 1, 1)


def _script(config: AcceleratorConfig, program: Program, stall: float) -> Script:
    """Return a script of points, a grid and points again, reading only what has a known value."""
    script = Script(config, stall)
    script.load(program)
    rng = np.random.default_rng(1)
    points = rng.integers(COORDINATE.low, COORDINATE.high + 1, (2 * config.rows + 1, 3))
    script.points(points)
    grid = program.lattice.grid
    scale = min(SCALE, 4 / max(grid.shape))
    script.grid(GridJob.of(grid.scaled(scale), program.frame))
    script.points(points[:1])
    known = [
        (operation, expected)
        for operation, expected in zip(script.operations, script.expected, strict=True)
        if expected is not None or not isinstance(operation, session.Read)
    ]
    script.operations, script.expected = (list(column) for column in zip(*known, strict=True))
    return script
