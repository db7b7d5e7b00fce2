"""The queue of requests: commit, drop, full."""

import pytest
from amaranth.sim import Simulator

from implicore.hw.link.request_queue import RequestQueue


def simulate(component, *benches):
    simulator = Simulator(component)
    simulator.add_clock(1e-6)
    for bench in benches:
        simulator.add_testbench(bench)
    simulator.run()


def test_committed_tokens_are_read_and_dropped_tokens_are_not():
    queue = RequestQueue(8)
    got = []

    async def put(ctx, values, then):
        for value in values:
            ctx.set(queue.write.put, 1)
            ctx.set(queue.write.token.data, value)
            await ctx.tick()
            ctx.set(queue.write.put, 0)
            await ctx.tick()
        ctx.set(then, 1)
        await ctx.tick()
        ctx.set(then, 0)

    async def bench(ctx):
        await put(ctx, [1, 2], queue.write.drop)
        await put(ctx, [3, 4, 5, 6], queue.write.commit)
        await put(ctx, [7], queue.write.drop)
        await ctx.tick().repeat(5)
        assert not ctx.get(queue.write.full)
        await put(ctx, range(10, 20), queue.write.commit)  # more than it can hold
        assert ctx.get(queue.write.full)
        ctx.set(queue.tokens.ready, 1)
        for _ in range(40):
            if ctx.get(queue.tokens.valid):
                got.append(ctx.get(queue.tokens.payload.data))
            await ctx.tick()
        assert not ctx.get(queue.write.full)

    simulate(queue, bench)
    # One token is in the output register, which leaves space for a ninth.
    assert got == [3, 4, 5, 6, 10, 11, 12, 13, 14]


def test_is_full_at_every_write_pointer():
    queue = RequestQueue(8)

    async def bench(ctx):
        for first in range(20):
            # Three tokens pass, so that the next eight begin at another address.
            for count in (3, 9):
                for value in range(count):
                    assert ctx.get(queue.write.full) == (value == 8)
                    ctx.set(queue.write.put, 1)
                    ctx.set(queue.write.token.data, first + value)
                    await ctx.tick()
                    ctx.set(queue.write.put, 0)
                    await ctx.tick()
                ctx.set(queue.write.commit, 1)
                await ctx.tick()
                ctx.set(queue.write.commit, 0)
                ctx.set(queue.tokens.ready, 1)
                for value in range(min(count, 8)):
                    (got,) = (
                        await ctx.tick().sample(queue.tokens.payload.data).until(queue.tokens.valid)
                    )
                    assert got == first + value
                await ctx.tick()
                assert not ctx.get(queue.tokens.valid)
                ctx.set(queue.tokens.ready, 0)

    simulate(queue, bench)


@pytest.mark.parametrize("depth", [0, 1, 6])
def test_invalid_depth(depth):
    with pytest.raises(ValueError, match=rf"^Queue depth must be a power of two, not {depth}\.$"):
        RequestQueue(depth)
