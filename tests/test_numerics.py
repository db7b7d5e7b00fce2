"""The golden model against a renderer written from docs/numerics.md alone."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from implicore.formats import Formats
from implicore.model.golden import Renderer
from implicore.model.volume import to_intensities
from implicore.network_shape import NetworkShape
from implicore.random_program import random_program

SPEC = importlib.util.spec_from_file_location(
    "independent_renderer", Path(__file__).with_name("independent_renderer.py")
)
independent = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(independent)

SHAPES = [
    NetworkShape(3, 5, 1),
    NetworkShape(1, 1, 2),
    NetworkShape(5, 7, 4, (2, 4)),
    NetworkShape(33, 20, 6, (3,)),
    NetworkShape(7, 9, 3, (3,)),
]
FORMATS = ["w8a12", "w8a8m4", "w4a4", "w16a16m15t14", "w8a12m3t6", "w12a16", "w5a7m1o8", "w16a4t13"]


@pytest.mark.parametrize("number", range(len(FORMATS)))
def test_independent_renderer_agrees(number):
    program = random_program(
        SHAPES[number % len(SHAPES)], Formats.parse(FORMATS[number]), seed=number
    )
    other = independent.Program(program.to_bytes())
    renderer = Renderer(program)
    assert other.digest == program.digest
    for scale in (1, 1.7, 0.5):
        voxels = renderer.render(program.grid.scaled(scale)).ravel(order="F")
        assert other.decode_grid(scale) == voxels.tolist()
    rng = np.random.default_rng(number)
    points = program.frame.centre + rng.uniform(-1.2, 1.2, (20, 3)) * program.frame.extent
    assert other.decode_points(points.tolist()) == renderer.points(points).tolist()
    top = program.formats.output_max
    values = program.intensity.values(np.arange(top + 1), top)
    assert [other.intensity(v) for v in range(0, top + 1, 7)] == to_intensities(
        values, program.intensity.dtype
    )[::7].tolist()
