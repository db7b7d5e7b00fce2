"""Frames of voxels: credit, the last voxel of a job, flush and its timeout."""

from amaranth.sim import Simulator

from implicore.hw.link.voxel_sender import VOXELS_PER_FRAME, VoxelSender
from implicore.link import Kind

TIMEOUT = 30


def send(voxels, credits, *, last=True, flush_at=None, cycles=3000) -> list[tuple[list[int], int]]:
    """Return the frames, voxels and flag each, that are sent within some cycles.

    Parameters
    ----------
    voxels : list of (cycle, value)
        When each voxel is offered, at the earliest.
    credits : list of (cycle, number)
    last : bool
        Whether the last voxel ends the job.
    flush_at : int, optional
        The cycle from which ``flush`` is high.
    """
    sender = VoxelSender(flush_timeout=TIMEOUT)
    data, frames = bytearray(), []

    async def bench(ctx):
        taken, credit = 0, dict(credits)
        ctx.set(sender.content.ready, 1)
        for cycle in range(cycles):
            ctx.set(sender.credit_valid, cycle in credit)
            ctx.set(sender.credit, credit.get(cycle, 0))
            ctx.set(sender.flush, flush_at is not None and cycle >= flush_at)
            valid = taken < len(voxels) and voxels[taken][0] <= cycle
            ctx.set(sender.s_axis_voxels_tvalid, valid)
            if valid:
                ctx.set(sender.s_axis_voxels_tdata, voxels[taken][1])
                ctx.set(sender.s_axis_voxels_tlast, last and taken == len(voxels) - 1)
            if ctx.get(sender.content.valid):
                data.append(ctx.get(sender.content.payload.data))
                if ctx.get(sender.content.payload.last):
                    kind, *body, flag = data
                    assert kind == Kind.VOXELS and len(body) % 2 == 0
                    halves = zip(body[::2], body[1::2], strict=True)
                    frames.append(([low | high << 8 for low, high in halves], flag))
                    data.clear()
            accepted = valid and ctx.get(sender.s_axis_voxels_tready)
            await ctx.tick()
            taken += accepted

    simulator = Simulator(sender)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert not data
    return frames


def at_once(count):
    return [(0, 0x1234 + 7 * number) for number in range(count)]


def values(voxels):
    return [value for _, value in voxels]


def test_no_voxel_is_sent_without_credit():
    assert send(at_once(4), []) == []


def test_a_frame_ends_with_the_credit():
    voxels = at_once(5)
    assert send(voxels, [(0, 2), (200, 1), (400, 9)]) == [
        (values(voxels[:2]), 0),
        (values(voxels[2:3]), 0),
        (values(voxels[3:]), 1),
    ]


def test_credits_add_up():
    voxels = at_once(6)
    assert send(voxels, [(0, 2), (1, 3), (2, 4)]) == [(values(voxels), 1)]


def test_a_frame_has_a_maximum_of_voxels():
    voxels = at_once(VOXELS_PER_FRAME + 3)
    first, second = send(voxels, [(0, 1000)])
    assert first == (values(voxels[:VOXELS_PER_FRAME]), 0)
    assert second == (values(voxels[VOXELS_PER_FRAME:]), 1)


def test_a_frame_ends_after_the_flush_timeout():
    for gap, count in ((TIMEOUT // 2, 1), (2 * TIMEOUT, 2)):
        voxels = [(0, 5), (10 + gap, 6)]
        frames = send(voxels, [(0, 1000)])
        assert len(frames) == count
        assert sum((frame for frame, _ in frames), []) == [5, 6]
        assert [flag for _, flag in frames] == [0] * (count - 1) + [1]


def test_flush_ends_a_frame():
    voxels = [(0, 5), (20, 6)]
    assert send(voxels, [(0, 1000)]) == [([5, 6], 1)]
    assert send(voxels, [(0, 1000)], flush_at=10)[0] == ([5], 0)
