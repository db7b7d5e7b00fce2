"""Whole slices on whole accelerators, in the time they may take."""

from time import perf_counter

import pytest

from implicore.accelerator_config import ACCELERATORS
from implicore.grid import Grid
from implicore.network_shape import NETWORKS
from implicore.random_program import random_program
from implicore.sim.simulation import simulate


@pytest.mark.slow
@pytest.mark.parametrize(
    ("accelerator", "network", "size", "seconds", "utilization"),
    [
        ("medium", "demo", (181, 217), 120, 0.99),
        ("paper", "paper", (64, 64), 600, 0.99),
    ],
)
def test_a_slice(accelerator, network, size, seconds, utilization, monkeypatch, tmp_path):
    monkeypatch.setenv("IMPLICORE_CACHE", str(tmp_path))  # the build counts
    config = ACCELERATORS[accelerator]
    program = random_program(NETWORKS[network], config.formats, seed=1)
    plane = program.grid.middle_plane()
    steps = [plane.shape[0] / size[0], plane.shape[1] / size[1], 1, 1]
    grid = Grid.from_array((*size, 1), plane.matrix * steps)
    begin = perf_counter()
    result = simulate(program, config, grid=grid, picture=tmp_path / "slice.png")
    assert result["agrees"] and result["mismatches"] == 0
    assert result["voxels"] == size[0] * size[1]
    assert result["utilization"] > utilization
    assert perf_counter() - begin < seconds
