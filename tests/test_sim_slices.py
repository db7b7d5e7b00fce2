"""Whole slices on whole accelerators."""

import pytest

from implicore.accelerator_config import ACCELERATORS
from implicore.grid import Grid
from implicore.network_shape import NETWORKS
from implicore.random_program import random_program
from implicore.sim.simulation import simulate


@pytest.mark.slow
@pytest.mark.parametrize(
    ("accelerator", "network", "size"),
    [("medium", "demo", (181, 217)), ("paper", "paper", (64, 64))],
)
def test_slice_equals_the_golden_model(accelerator, network, size, tmp_path):
    config = ACCELERATORS[accelerator]
    program = random_program(NETWORKS[network], config.formats, seed=1)
    plane = program.grid.middle_plane()
    steps = [plane.shape[0] / size[0], plane.shape[1] / size[1], 1, 1]
    grid = Grid.from_array((*size, 1), plane.matrix * steps)
    result = simulate(program, config, grid=grid, picture=tmp_path / "slice.png")
    assert result["agrees"] and result["mismatches"] == 0
    assert result["voxels"] == size[0] * size[1]
    assert result["utilization"] > 0.99
