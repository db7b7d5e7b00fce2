import numpy as np
import pytest

from benches import streams
from benches.in_amaranth import run, smallest_config
from implicore.grid import Frame, Grid
from implicore.hw.coordinates import CoordinateGenerator
from implicore.job import GridJob


def oblique(shape, seed):
    rng = np.random.default_rng(seed)
    affine = np.eye(4)
    affine[:3] = rng.normal(0, 1, (3, 4))
    return Grid.from_array(shape, affine)


VOLUME = Grid.from_array((9, 8, 7), np.diag([1.0, 1.5, -2.0, 1.0]))
GRIDS = [
    VOLUME,
    VOLUME.scaled(1.7),
    VOLUME.plane("axial", -3.3, 1.3),
    VOLUME.plane("coronal", 5.2),
    VOLUME.plane("sagittal", 4.0, 2),
    oblique((5, 4, 3), 1),
    oblique((1, 1, 1), 2),
    oblique((1, 7, 1), 3),
    oblique((300, 1, 2), 4),
]


@pytest.mark.parametrize("pause", [0, 0.4])
@pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: "x".join(map(str, grid.shape)))
def test_every_index(grid, pause):
    job = GridJob.of(grid, Frame.around([VOLUME, grid]))
    config = smallest_config("w8a8")
    run(streams.coordinate_generator, CoordinateGenerator(), config, job, pause=pause)
