"""Tests to go beside the Verilog, for whoever gets the folder and has no implicore."""

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
"""Probability of a stall in the session that is held up."""

SCALE = 0.35
"""Of the grid that is decoded: a few voxels tell."""


def write_tests(
    folder: str | Path, config: AcceleratorConfig, program: Program | None = None
) -> list[str]:
    """Put a cocotb bench, golden vectors and a script that runs them into a folder's ``tests``.

    Parameters
    ----------
    folder : path-like
        Where ``hw.verilog.generate`` wrote the configuration's Verilog.
    config : AcceleratorConfig
    program : Program, optional
        What to decode; a small random one unless given. BadInput if it does not fit.

    Returns
    -------
    list of str
        The files, relative to ``folder``.
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
    """A network that uses a skip connection and the output-layer MAC, as far as it fits."""
    for depth, width, skips in ((4, 5, (3,)), (3, 3, (2,)), (2, 2, ()), (1, 1, ())):
        frequencies = min(3, config.frequencies)
        shape = NetworkShape(frequencies, min(width, config.width), depth, skips)
        fits = depth <= config.depth and neurons(shape) <= config.constant_depth
        if fits and weight_words(shape, config.columns) <= config.weight_depth:
            return shape
    return NetworkShape(1, 1, 1)


def _script(config: AcceleratorConfig, program: Program, stall: float) -> Script:
    """Points, a grid and points again; only what is known beforehand is asked for."""
    script = Script(config, stall)
    script.load(program)
    rng = np.random.default_rng(1)
    points = rng.integers(COORDINATE.low, COORDINATE.high + 1, (2 * config.rows + 1, 3))
    script.points(points)
    scale = min(SCALE, 4 / max(program.grid.shape))
    script.grid(GridJob.of(program.grid.scaled(scale), program.frame))
    script.points(points[:1])
    known = [
        (operation, expected)
        for operation, expected in zip(script.operations, script.expected, strict=True)
        if expected is not None or not isinstance(operation, session.Read)
    ]
    script.operations, script.expected = (list(column) for column in zip(*known, strict=True))
    return script
