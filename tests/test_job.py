"""Grid jobs against exact rational arithmetic."""

from fractions import Fraction

import numpy as np
import pytest

from implicore.errors import BadInput
from implicore.fixed import GRID_GUARD
from implicore.grid import Frame, Grid
from implicore.job import GridJob, pack_points, unpack_points

OBLIQUE = [[0.6, -0.7, 0.1, -30.0], [0.5, 0.6, -0.9, 4.25], [0.3, 0.2, 2.1, 77.7], [0, 0, 0, 1]]


@pytest.mark.parametrize("scale", [1, 1.7, 2, 3.3, 0.5])
@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 1, 3), (181, 217, 181), (2048, 3, 2)])
def test_every_corner_is_within_half_a_unit(shape, scale):
    source = Grid.from_array(shape, OBLIQUE)
    frame, grid = Frame.around([source]), source.scaled(scale)
    job = GridJob.of(grid, frame)
    rng = np.random.default_rng(1)
    index = rng.integers(0, grid.shape, (30, 3))
    index[0], index[1] = 0, np.array(grid.shape) - 1
    for at, got in zip(index, job.at(index), strict=True):
        for axis in range(3):
            row = grid.matrix[axis]
            world = Fraction(row[3]) + sum(
                Fraction(a) * int(i) for a, i in zip(row[:3], at, strict=True)
            )
            exact = (world - Fraction(frame.centre[axis])) / Fraction(frame.extent) * 2**14
            assert abs(int(got[axis]) - exact) <= 0.5 + 3e-4


def test_voxels_are_numbered_with_the_first_axis_fastest():
    grid = Grid.from_array((3, 4, 5), OBLIQUE)
    job = GridJob.of(grid, Frame.around([grid]))
    all_of_them = job.coordinates(0, job.voxels)
    assert len(all_of_them) == 60
    index = [(i, j, k) for k in range(5) for j in range(4) for i in range(3)]
    assert (all_of_them == job.at(index)).all()
    assert (job.coordinates(17, 31) == all_of_them[17:31]).all()


def test_a_single_sample_needs_no_step():
    grid = Grid.from_array((1, 4, 5), OBLIQUE)
    assert GridJob.of(grid, Frame.around([grid])).steps[0] == (0, 0, 0)


def test_a_grid_beyond_the_coordinate_range_is_rejected():
    grid = Grid.from_array((3, 4, 5), OBLIQUE)
    frame = Frame.around([grid])
    for factor in (3, 1e300):
        far = np.array(OBLIQUE)
        far[:3, 3] += factor * frame.extent
        with pytest.raises(BadInput, match=r"^The grid reaches from \[.*\] to \[.*\] mm, but "):
            GridJob.of(Grid.from_array((3, 4, 5), far), frame)


def test_increments_lead_from_each_voxel_to_the_next():
    grid = Grid.from_array((3, 4, 2), OBLIQUE)
    job = GridJob.of(grid, Frame.around([grid]))
    at = np.array(job.origin)
    for number, exact in enumerate(job.coordinates(0, job.voxels)):
        if number:
            at += job.increments[0 if number % 3 else 1 if number % 12 else 2]
        assert (at >> GRID_GUARD == exact).all()


@pytest.mark.parametrize("limit", [1, 2, 5, 6, 7, 29, 30, 31, 59, 60, 1000])
def test_parts_give_the_same_voxels_in_the_same_order(limit):
    job = GridJob((3, 5, 4), (17, -5, 1 << 30), ((3, 1, 1 << 26), (-7, 1 << 27, 0), (0, 5, 9)))
    parts = list(job.parts(limit))
    assert all(1 <= part.voxels <= limit for part in parts)
    assert len(parts) <= 2 * -(-job.voxels // limit)
    coordinates = np.concatenate([part.coordinates(0, part.voxels) for part in parts])
    assert (coordinates == job.coordinates(0, job.voxels)).all()


def test_box_has_the_same_coordinates():
    job = GridJob((3, 5, 4), (17, -5, 1 << 30), ((3, 1, 1 << 26), (-7, 1 << 27, 0), (0, 5, 9)))
    box = job.box((1, 0, 2), (2, 4, 1))
    assert box.shape == (2, 4, 1)
    index = np.stack(np.unravel_index(np.arange(8), (2, 4, 1), order="F"), axis=-1)
    assert (box.coordinates(0, 8) == job.at(index + [1, 0, 2])).all()


def test_packed_points():
    points = np.array([[1, -2, 3], [-(1 << 15), (1 << 15) - 1, 0]])
    words = pack_points(points)
    assert words.dtype == np.uint64
    assert words.tolist() == [0x0003_FFFE_0001, 0x0000_7FFF_8000]
    assert unpack_points(words).tolist() == points.tolist()
    # The accelerator ignores the upper 16 bits.
    assert unpack_points(words | np.uint64(0xABCD << 48)).tolist() == points.tolist()
    assert pack_points(np.empty((0, 3), int)).shape == (0,)
