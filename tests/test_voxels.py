import numpy as np
import pytest
from amaranth.sim import Simulator

from implicore.hw.voxels import VoxelBuffer


@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize("stall", [0, 0.5, 0.9])
def test_tiles(rows, stall):
    buffer = VoxelBuffer(rows, 8)
    rng = np.random.default_rng(rows)
    taken, expected = [], []

    async def bench(ctx):
        for tile in range(20):
            while not ctx.get(buffer.free):
                await step(ctx)
            count, last = int(rng.integers(1, rows + 1)), tile == 19
            ctx.set(buffer.reserve, 1)
            ctx.set(buffer.tile, {"rows": count - 1, "last": last})
            await step(ctx)
            ctx.set(buffer.reserve, 0)
            values = rng.integers(0, 256, rows).tolist()
            expected.extend((v, last and i == count - 1) for i, v in enumerate(values[:count]))
            for value in values:
                if rng.random() < 0.3:
                    await step(ctx)
                assert not ctx.get(buffer.free)  # before all rows have come
                ctx.set(buffer.put, 1)
                ctx.set(buffer.value, value)
                await step(ctx)
                ctx.set(buffer.put, 0)
        for _ in range(200):
            await step(ctx)
        assert ctx.get(buffer.free)

    async def step(ctx):
        ready = rng.random() >= stall
        ctx.set(buffer.voxels.ready, ready)
        if ready and ctx.get(buffer.voxels.valid):
            payload = buffer.voxels.payload
            taken.append((ctx.get(payload.value), ctx.get(payload.last)))
        await ctx.tick()

    simulator = Simulator(buffer)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert taken == expected
