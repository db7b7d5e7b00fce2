"""The golden model against a renderer written from docs/numerics.md alone."""

import hashlib
import importlib.util
import math
import struct
from pathlib import Path

import numpy as np
import pytest

from implicore.errors import BadInput
from implicore.formats import Formats
from implicore.model.golden import Renderer
from implicore.model.volume import to_intensities
from implicore.network_shape import NetworkShape
from implicore.program import Program
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


PATCHES = [(4, 1, 3), (2, 3, 2), (7, 6, 5), (1, 4, 4), (8, 1, 1)]


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


@pytest.mark.parametrize("patch", PATCHES)
@pytest.mark.parametrize("depth", [1, 3])
def test_independent_renderer_agrees_on_patches(patch, depth):
    """The source has 7 x 6 x 5 voxels, which most of these patches do not divide."""
    shape = NetworkShape(5, 7, depth, (3,) if depth > 1 else (), outputs=math.prod(patch))
    formats = Formats.parse(FORMATS[sum(patch) % len(FORMATS)])
    program = random_program(shape, formats, seed=depth, patch=patch)
    other = independent.Program(program.to_bytes())
    assert other.digest == program.digest
    voxels = Renderer(program).render(program.grid).ravel(order="F").tolist()
    assert other.decode_patches() == voxels
    assert len(set(voxels)) > 5


def test_single_voxels_are_patches_of_one():
    program = random_program(SHAPES[2], Formats(8, 12))
    other = independent.Program(program.to_bytes())
    assert other.decode_patches() == other.decode_grid(1)


def test_independent_renderer_rejects_what_the_program_rejects():
    """Keys, version and patch of the header must agree in both readers."""
    single = random_program(NetworkShape(3, 4, 2), Formats(8, 8)).to_bytes()
    several = random_program(NetworkShape(3, 4, 2, outputs=6), Formats(8, 8), patch=(3, 2, 1))
    several = several.to_bytes()
    changes = [
        (single, b"", b"", 2),
        (several, b"", b"", 1),
        (several, b"[3,2,1]", b"[3,2,2]", 2),
        (several, b',"patch":[3,2,1]', b"", 1),
        (several, b'"outputs":6,', b"", 2),
        (single, b'"skips"', b'"outputs":1,"skips"', 1),
        (single, b'{"formats"', b'{"patch":[1,1,1],"formats"', 2),
    ]
    for data, old, new, version in changes:
        size = int.from_bytes(data[12:16], "little")
        header = data[16 : 16 + size].replace(old, new, 1)
        assert not old or header != data[16 : 16 + size]
        start = data[:8] + struct.pack("<II", version, len(header)) + header
        changed = start + data[16 + size : -32]
        changed += hashlib.sha256(changed).digest()
        with pytest.raises(BadInput):
            Program.from_bytes(changed)
        with pytest.raises(ValueError):
            independent.Program(changed)
