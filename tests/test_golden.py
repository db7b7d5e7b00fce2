"""The golden model against plain Python integers."""

import math

import numpy as np
import pytest

from implicore.errors import BadInput
from implicore.fixed import COORDINATE, OFFSET_FRACTION, requantize
from implicore.formats import Formats
from implicore.job import GridJob
from implicore.model.golden import BLOCK, Renderer, _ExactLayer
from implicore.network_shape import NetworkShape
from implicore.program import Layer
from implicore.random_program import random_program
from implicore.sincos import SineTable

SHAPES = [
    NetworkShape(frequencies=3, width=5, depth=1),
    NetworkShape(frequencies=1, width=1, depth=2),
    NetworkShape(frequencies=5, width=7, depth=4, skips=(2, 4)),
    NetworkShape(frequencies=64, width=64, depth=5),
    NetworkShape(frequencies=128, width=33, depth=3, skips=(3,)),
    NetworkShape(frequencies=5, width=7, depth=4, skips=(4,), outputs=12),
    NetworkShape(frequencies=3, width=5, depth=1, outputs=3),
]
FORMATS = ["w8a12", "w8a8", "w4a4m0", "w16a16m15t14", "w8a12m0t6", "w12a16t12", "w5a7m1o8", "w16a4"]


def plain(program, point) -> list[int]:
    """Decode the voxels of one point in Python integers, following docs/numerics.md."""
    formats = program.formats
    bits = formats.table_address_bits
    table = SineTable(bits, formats.activation_bits)
    cosines, sines = [], []
    for row in program.frequencies:
        turns = sum(int(b) * int(x) for b, x in zip(row, point, strict=True))
        phase = (turns >> (24 - bits)) % (1 << bits)
        cosines.append(int(table.cosines[phase]))
        sines.append(int(table.sines[phase]))
    features = cosines + sines
    hidden = []
    for number, (layer, size) in enumerate(
        zip(program.layers, program.shape.layers, strict=True), 1
    ):
        inputs = (features if size.features else []) + hidden
        last = number == program.shape.depth
        top = (1 << (formats.output_bits if last else formats.activation_bits)) - 1
        hidden = []
        for n in range(size.outputs):
            total = sum(int(w) * a for w, a in zip(layer.weights[n], inputs, strict=True))
            assert -(1 << formats.accumulator_bits - 1) <= total < 1 << formats.accumulator_bits - 1
            shift = int(layer.shifts[n])
            total = (total * int(layer.multipliers[n]) * 8 >> shift) + int(layer.offsets[n])
            hidden.append(min(max(total >> 3, 0), top))
    return hidden


@pytest.mark.parametrize("formats", FORMATS)
@pytest.mark.parametrize(
    "shape", SHAPES, ids=lambda s: f"L{s.frequencies}w{s.width}d{s.depth}o{s.outputs}"
)
def test_golden_equals_plain_integers(shape, formats):
    program = random_program(shape, Formats.parse(formats), seed=len(formats))
    points = np.random.default_rng(1).integers(COORDINATE.low, COORDINATE.high + 1, (12, 3))
    points[0], points[1] = COORDINATE.low, COORDINATE.high
    expected = [voxel for point in points for voxel in plain(program, point)]
    assert Renderer(program).voxels(points).tolist() == expected
    assert len(set(expected)) > 1


@pytest.mark.parametrize("weights", ["max", "min", "zero"])
@pytest.mark.parametrize("formats", ["w8a8", "w8a12c40", "w16a16c44m15"])
def test_extreme_weights(weights, formats):
    shape = NetworkShape(frequencies=16, width=130, depth=3, skips=(3,))
    program = random_program(shape, Formats.parse(formats), weights=weights)
    points = np.random.default_rng(2).integers(COORDINATE.low, COORDINATE.high + 1, (4, 3))
    expected = [voxel for point in points for voxel in plain(program, point)]
    assert Renderer(program).voxels(points).tolist() == expected


@pytest.mark.parametrize("multiplier", [1, 3, 15, 1 << 12, (1 << 15) - 1])
@pytest.mark.parametrize("shift", [0, 2, 5])
@pytest.mark.parametrize("inputs", [1, 17, 18, 35, 70])
@pytest.mark.parametrize(("top", "activation_bits"), [(15, 16), (15, 9), (32767, 16), (3, 4)])
def test_sums_near_the_limits_of_exact_floats(top, activation_bits, inputs, shift, multiplier):
    """Large sums with varied last bits, around 2**24 and 2**53, where floats become inexact."""
    rng = np.random.default_rng(inputs)
    high = (1 << activation_bits) - 1
    weights = rng.integers(top - 1, top + 1, (16, inputs)).astype(np.int16)
    activations = high - rng.integers(0, 4, (inputs, 50))
    sums = weights.astype(np.int64) @ activations
    middle = ((sums[:, 0] * multiplier) << OFFSET_FRACTION) >> shift  # one point is in range
    offsets = (high << 2) - middle + rng.integers(0, 8, 16)
    constants = np.full(16, multiplier), offsets, np.full(16, shift)
    stage = _ExactLayer(Layer(weights, *constants), high, high)
    expected = requantize(sums, *(vector[:, None] for vector in constants), high)
    assert (stage(activations.astype(np.float32)) == expected).all()


def test_blocks_are_joined_correctly():
    program = random_program(NetworkShape(2, 3, 2), Formats(8, 8))
    renderer = Renderer(program)
    points = np.random.default_rng(5).integers(-16384, 16384, (BLOCK + 3, 3))
    one_by_one = [renderer.voxels(points[i : i + 1])[0] for i in (0, BLOCK - 1, BLOCK, BLOCK + 2)]
    assert renderer.voxels(points)[[0, BLOCK - 1, BLOCK, BLOCK + 2]].tolist() == one_by_one
    assert renderer.voxels(points[:0]).shape == (0,)


@pytest.mark.parametrize("scale", [1, 1.7, 2, 0.5])
def test_grids_points_and_planes_agree(scale):
    program = random_program(NetworkShape(9, 8, 3), Formats(8, 12))
    renderer = Renderer(program)
    grid = program.grid.scaled(scale)
    volume = renderer.render(grid)
    assert volume.shape == grid.shape
    job = GridJob.of(grid, program.frame)
    index = np.array([0, grid.shape[1] - 1, grid.shape[2] // 2])
    assert renderer.voxels(job.at(index)[None])[0] == volume[tuple(index)]
    # A free point differs from the same grid point by the origin's and steps' rounding only.
    exact = program.frame.coordinates(grid.world(index)) / COORDINATE.step
    assert np.abs(job.at(index) - exact).max() <= 0.5 + 1e-4


@pytest.mark.parametrize("patch", [(1, 1, 1), (4, 1, 3), (2, 3, 2), (1, 7, 1), (8, 8, 8)])
@pytest.mark.parametrize("block", [1, 4, BLOCK])
def test_a_volume_is_joined_from_whole_patches(patch, block, monkeypatch):
    """The source has 7 x 6 x 5 voxels, which most of these patches do not divide."""
    monkeypatch.setattr("implicore.model.golden.BLOCK", block)
    program = random_program(
        NetworkShape(3, 4, 2, outputs=math.prod(patch)), Formats(8, 8), patch=patch
    )
    renderer, counts = Renderer(program), []
    volume = renderer.render(program.grid, lambda v: v + 0.5, counts.append)
    assert volume.shape == (7, 6, 5) and sum(counts) == 210
    job = GridJob.of(program.lattice.grid, program.frame)
    for index in [(0, 0, 0), (6, 5, 4), (3, 2, 1), (4, 0, 3)]:
        number, place = np.divmod(index, patch)
        voxels = renderer.voxels(job.at(number)[None]).reshape(patch, order="F")
        assert volume[index] == voxels[tuple(place)] + 0.5


def test_points_beyond_the_format_are_rejected():
    renderer = Renderer(random_program(NetworkShape(2, 3, 2), Formats(8, 8)))
    with pytest.raises(
        BadInput, match=r"^Points must lie within 2 frame extents .* one lies \S+ away\.$"
    ):
        renderer.points(np.array([[1e6, 0, 0]]))
    with pytest.raises(BadInput, match=r"^Points must be finite numbers\.$"):
        renderer.points(np.array([[np.nan, 0, 0]]))
    with pytest.raises(BadInput, match=r"^Coordinates must be from -32768 to 32767, but these "):
        renderer.voxels(np.array([[32768, 0, 0]]))
    with pytest.raises(BadInput, match=r"^Points must have the shape \(points, 3\), not \(3,\)\.$"):
        renderer.voxels(np.zeros(3, int))
