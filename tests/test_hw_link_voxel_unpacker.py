"""Every voxel of a beat in order, with pauses on both sides."""

from itertools import count
from random import Random

import pytest
from amaranth.sim import Simulator

from implicore.hw.link.voxel_unpacker import VoxelUnpacker


@pytest.mark.parametrize("voxels_per_beat", [2, 4, 8])
@pytest.mark.parametrize("pause", [0, 0.6])
def test_beats(voxels_per_beat, pause):
    unpacker, rng = VoxelUnpacker(voxels_per_beat), Random(1)
    beats, voxels = [], []
    for last in rng.choices((0, 0, 1), k=60):
        kept = rng.randint(1, voxels_per_beat) if last else voxels_per_beat
        data = rng.getrandbits(16 * voxels_per_beat)
        beats.append((data, (1 << 2 * kept) - 1, last))
        voxels += [(data >> 16 * n & 0xFFFF, last and n == kept - 1) for n in range(kept)]

    async def bench(ctx):
        received, sent, offering = [], 0, False
        for cycle in count():
            offering = sent < len(beats) and (offering or rng.random() >= pause)
            if offering:
                data, keep, last = beats[sent]
                ctx.set(unpacker.s_axis_voxels_tdata, data)
                ctx.set(unpacker.s_axis_voxels_tkeep, keep)
                ctx.set(unpacker.s_axis_voxels_tlast, last)
            taking = rng.random() >= pause
            ctx.set(unpacker.s_axis_voxels_tvalid, offering)
            ctx.set(unpacker.m_axis_voxels_tready, taking)
            assert ctx.get(unpacker.m_axis_voxels_tvalid) == offering
            if offering and taking:
                voxel = ctx.get(unpacker.m_axis_voxels_tdata)
                received.append((voxel, ctx.get(unpacker.m_axis_voxels_tlast)))
            if offering and ctx.get(unpacker.s_axis_voxels_tready):
                sent, offering = sent + 1, False
            if len(received) == len(voxels):
                break
            assert cycle < 10_000
            await ctx.tick()
        assert received == voxels and sent == len(beats)
        assert pause or cycle == len(voxels) - 1

    simulator = Simulator(unpacker)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
