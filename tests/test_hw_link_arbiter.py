"""The arbiter of frames: whole frames, in order of priority."""

import pytest
from amaranth.sim import Simulator

from implicore.hw.link.arbiter import FrameArbiter


def arbitrate(frames, starts) -> list[tuple[int, int]]:
    """Return the bytes, as pairs of source and data, that leave the arbiter.

    Parameters
    ----------
    frames : list of bytes
        A frame of each source.
    starts : list of int
        The cycle in which each source offers its frame.
    """
    arbiter = FrameArbiter(len(frames))
    found = []

    async def bench(ctx):
        sent = [0] * len(frames)
        for cycle in range(60):
            ctx.set(arbiter.content.ready, cycle % 3 != 0)
            for content, frame, start, count in zip(
                arbiter.contents, frames, starts, sent, strict=True
            ):
                valid = cycle >= start and count < len(frame)
                ctx.set(content.valid, valid)
                if valid:
                    ctx.set(content.payload.data, frame[count])
                    ctx.set(content.payload.last, count == len(frame) - 1)
            accepted = [
                source
                for source, content in enumerate(arbiter.contents)
                if ctx.get(content.valid) and ctx.get(content.ready)
            ]
            if ctx.get(arbiter.content.valid) and ctx.get(arbiter.content.ready):
                (source,) = accepted
                found.append((source, ctx.get(arbiter.content.payload.data)))
            else:
                assert not accepted
            await ctx.tick()
            for source in accepted:
                sent[source] += 1

    simulator = Simulator(arbiter)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return found


FRAMES = [b"abc", b"d", b"efgh"]


@pytest.mark.parametrize(
    ("starts", "order"),
    [
        ([0, 0, 0], [0, 1, 2]),
        ([3, 3, 0], [2, 0, 1]),
        ([2, 0, 1], [1, 0, 2]),
        ([1, 40, 0], [2, 0, 1]),
    ],
)
def test_whole_frames_in_order_of_priority(starts, order):
    expected = [(source, byte) for source in order for byte in FRAMES[source]]
    assert arbitrate(FRAMES, starts) == expected
