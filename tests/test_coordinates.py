import numpy as np
import pytest
from amaranth.sim import Simulator

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


def set_grid(ctx, view, job: GridJob):
    for axis in range(3):
        ctx.set(view.size_minus_one[axis], job.shape[axis] - 1)
        ctx.set(view.origin[axis], job.origin[axis])
        for other in range(3):
            ctx.set(view.increments[axis][other], job.increments[axis][other])


@pytest.mark.parametrize("pause", [0, 0.4])
@pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: "x".join(map(str, grid.shape)))
def test_every_index(grid, pause):
    job = GridJob.of(grid, Frame.around([VOLUME, grid]))
    generator = CoordinateGenerator()
    rng = np.random.default_rng(0)
    got, cycles = [], 0

    async def bench(ctx):
        nonlocal cycles
        set_grid(ctx, generator.grid, job)
        for _ in range(2):  # a second start begins anew
            ctx.set(generator.start, 1)
            await ctx.tick()
            ctx.set(generator.start, 0)
            got.clear()
            cycles = 0
            for _ in range(3):
                assert not ctx.get(generator.points.valid)
                await ctx.tick()
            while ctx.get(generator.points.valid):
                ready = rng.random() >= pause
                ctx.set(generator.points.ready, ready)
                if ready:
                    point = generator.points.payload
                    xyz = [ctx.get(point.xyz[axis]) for axis in range(3)]
                    got.append((xyz, ctx.get(point.last)))
                cycles += 1
                await ctx.tick()

    simulator = Simulator(generator)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert [xyz for xyz, _ in got] == job.coordinates(0, job.voxels).tolist()
    assert [last for _, last in got] == [0] * (job.voxels - 1) + [1]
    assert pause or cycles == job.voxels
