"""Voxel unpacker: beats of several voxels into single voxels."""

from amaranth import Module, Signal
from amaranth.lib import wiring

from ..accelerator import VOXEL_BITS, voxel_ports
from ..axi import peer


class VoxelUnpacker(wiring.Component):
    """Deliver the voxels of each beat one by one.

    A beat is accepted with its last voxel. There is no buffer, since an offered beat is stable.

    Latency: none. Throughput: one voxel per cycle.

    Parameters
    ----------
    voxels_per_beat : int
        2, 4 or 8.

    Attributes
    ----------
    s_axis_voxels_* : AXI4-Stream, 16 bits times ``voxels_per_beat``, with ``tkeep``
    m_axis_voxels_* : AXI4-Stream, 16 bits
    """

    def __init__(self, voxels_per_beat: int):
        self.voxels_per_beat = voxels_per_beat
        super().__init__({**peer(voxel_ports(voxels_per_beat)), **voxel_ports(1)})

    def elaborate(self, platform):
        m = Module()
        number = Signal(range(self.voxels_per_beat))
        ends = Signal()  # no voxel of this beat follows
        following = self.s_axis_voxels_tkeep[VOXEL_BITS // 8 :]
        m.d.comb += [
            ends.eq(~following.word_select(number, VOXEL_BITS // 8).any()),
            self.m_axis_voxels_tvalid.eq(self.s_axis_voxels_tvalid),
            self.m_axis_voxels_tdata.eq(self.s_axis_voxels_tdata.word_select(number, VOXEL_BITS)),
            self.m_axis_voxels_tlast.eq(self.s_axis_voxels_tlast & ends),
            self.s_axis_voxels_tready.eq(self.m_axis_voxels_tready & ends),
        ]
        with m.If(self.m_axis_voxels_tvalid & self.m_axis_voxels_tready):
            m.d.sync += number.eq(number + 1)
            with m.If(ends):
                m.d.sync += number.eq(0)
        return m
