"""Voxel sender: frames of voxels, up to the credit that the host has given."""

from amaranth import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from implicore.link import Kind

from ..accelerator import voxel_ports
from ..axi import peer
from .frames import CONTENT

VOXELS_PER_FRAME = 256
SENDER_PORTS = peer(voxel_ports(1))


class VoxelSender(wiring.Component):
    """Send voxels in frames, never more than the credit allows.

    A frame ends after ``VOXELS_PER_FRAME`` voxels, after the last voxel of the credit or of a job,
    when no voxel arrives for ``flush_timeout`` cycles, or when ``flush`` is high.

    Parameters
    ----------
    flush_timeout : int

    Attributes
    ----------
    credit_valid : In(1)
        Add ``credit`` to the voxels that may be sent. Their sum must stay below 65536.
    credit : In(16)
    flush : In(1)
        Another source has a frame to send.
    content : Out(stream of CONTENT)
    s_axis_voxels_* : AXI4-Stream, 16 bits
    """

    def __init__(self, flush_timeout: int):
        self.flush_timeout = flush_timeout
        super().__init__(
            {
                "credit_valid": In(1),
                "credit": In(16),
                "flush": In(1),
                "content": Out(stream.Signature(CONTENT)),
                **SENDER_PORTS,
            }
        )

    def elaborate(self, platform):
        m = Module()
        content = self.content
        available = Signal(16)
        has_credit = Signal()  # one cycle late, which is harmless because a byte takes longer
        take = Signal()
        m.d.comb += take.eq(self.s_axis_voxels_tvalid & self.s_axis_voxels_tready)
        m.d.sync += [
            available.eq(available + Mux(self.credit_valid, self.credit, 0) - take),
            has_credit.eq(available != 0),
        ]
        voxel = Signal(16, reset_less=True)
        job_ends = Signal()
        timer = Signal(range(self.flush_timeout + 1))
        count = Signal(range(VOXELS_PER_FRAME + 1))
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [job_ends.eq(0), count.eq(0), timer.eq(self.flush_timeout)]
                with m.If(self.s_axis_voxels_tvalid & has_credit):
                    m.next = "KIND"
            with m.State("KIND"):
                m.d.comb += [content.valid.eq(1), content.payload.data.eq(Kind.VOXELS)]
                with m.If(content.ready):
                    m.d.sync += self.s_axis_voxels_tready.eq(1)
                    m.next = "TAKE"
            with m.State("TAKE"):
                m.d.sync += [
                    voxel.eq(self.s_axis_voxels_tdata),
                    job_ends.eq(self.s_axis_voxels_tlast),
                    timer.eq(timer - 1),
                ]
                with m.If(take):
                    m.d.sync += [
                        self.s_axis_voxels_tready.eq(0),
                        count.eq(count + 1),
                        timer.eq(self.flush_timeout),
                    ]
                    m.next = "LOW"
                with m.Elif(self.flush | (timer == 0)):
                    m.d.sync += [self.s_axis_voxels_tready.eq(0), job_ends.eq(0)]
                    m.next = "FLAG"
            for state, part, following in (("LOW", 0, "HIGH"), ("HIGH", 1, "NEXT")):
                with m.State(state):
                    m.d.comb += [
                        content.valid.eq(1),
                        content.payload.data.eq(voxel.word_select(part, 8)),
                    ]
                    with m.If(content.ready):
                        m.next = following
            with m.State("NEXT"):
                with m.If(job_ends | ~has_credit | (count == VOXELS_PER_FRAME)):
                    m.next = "FLAG"
                with m.Else():
                    m.d.sync += self.s_axis_voxels_tready.eq(1)
                    m.next = "TAKE"
            with m.State("FLAG"):
                m.d.comb += [
                    content.valid.eq(1),
                    content.payload.data.eq(job_ends),
                    content.payload.last.eq(1),
                ]
                with m.If(content.ready):
                    m.next = "IDLE"
        return m
