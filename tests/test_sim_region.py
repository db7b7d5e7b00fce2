from dataclasses import replace

import numpy as np
import pytest

from implicore.formats import Formats
from implicore.grid import Frame, Grid
from implicore.job import GridJob
from implicore.model.golden import Renderer
from implicore.network_shape import NetworkShape
from implicore.patch import Lattice
from implicore.random_program import random_program
from implicore.sim.picture import nearest
from implicore.sim.region import Region

PATCH = (4, 2, 3)
SMALL = random_program(
    NetworkShape(3, 4, 2, outputs=24), Formats.parse("w6a8o8"), seed=2, patch=PATCH
)
SOURCE = Grid.from_array((70, 9, 10), SMALL.grid.affine)
PROGRAM = replace(SMALL, grid=SOURCE, frame=Frame.around([Lattice(SOURCE, PATCH).padded]))
GOLDEN = Renderer(PROGRAM)
PLANES = [("axial", SOURCE.world([0, 0, 2.3])[2]), ("sagittal", SOURCE.world([20, 4, 0])[0])]
WHOLE = GOLDEN.render(SOURCE)


def decoded(region: Region) -> np.ndarray:
    return GOLDEN.voxels(region.job.coordinates(0, region.job.voxels))


@pytest.mark.parametrize(
    "grid",
    [SOURCE, SOURCE.scaled(0.6), *(SOURCE.plane(*at) for at in PLANES)],
    ids=["own", "0.6", "axial", "sagittal"],
)
def test_grid_is_shown_as_the_golden_model_renders_it(grid):
    region = Region(PROGRAM, grid)
    assert np.array_equal(region.show(decoded(region)), GOLDEN.render(grid))


def test_default_shows_the_nearest_voxels_of_the_middle_plane():
    region = Region(PROGRAM)
    assert region.grid == SOURCE.middle_plane()
    assert region.job.shape == (18, 5, 1)
    index, inside = nearest(SOURCE, region.grid)
    shown = region.show(decoded(region))
    assert np.array_equal(shown[inside], WHOLE[tuple(index[inside].T)])
    assert inside.any() and not shown[~inside].any()


def test_missing_voxels_stay_missing():
    region = Region(PROGRAM)
    shown = region.show(np.full(region.job.voxels * 24, -1))
    assert (shown[nearest(SOURCE, region.grid)[1]] == -1).all()


def test_only_the_patches_around_a_grid_are_decoded():
    affine = SOURCE.matrix.copy()
    affine[:3, 3] = SOURCE.world([60.2, 4.2, 4.2])
    corner = Region(PROGRAM, Grid.from_array((3, 2, 1), affine)).job
    whole = Region(PROGRAM, SOURCE).job
    assert whole == GridJob.of(PROGRAM.lattice.grid, PROGRAM.frame)
    assert 1 < corner.shape[0] < whole.shape[0] == 18
    assert np.array_equal(corner.at([0, 0, 0]), whole.at([18 - corner.shape[0], 0, 0]))


def test_voxels_of_the_source_take_only_their_patches():
    affine = SOURCE.matrix @ np.diag([3, 1, 0.5, 1])  # every third voxel, halves of the last axis
    affine[:3, 3] = SOURCE.world([6, 4, 4])
    region = Region(PROGRAM, Grid.from_array((7, 2, 1), affine))
    assert region.job.shape == (6, 1, 1)  # voxels 6 to 24, 4 to 5, and 4
    assert np.array_equal(region.show(decoded(region)), WHOLE[6:25:3, 4:6, 4:5])


def test_without_patches_the_grid_is_decoded_itself():
    program = random_program(NetworkShape(3, 4, 2), Formats.parse("w6a8o8"), seed=2)
    grid = program.grid.scaled(1.3)
    region = Region(program, grid)
    assert region.job == GridJob.of(grid, program.frame)
    voxels = Renderer(program).voxels(region.job.coordinates(0, region.job.voxels))
    assert np.array_equal(region.show(voxels), Renderer(program).render(grid))
