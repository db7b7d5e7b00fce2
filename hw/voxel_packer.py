"""Voxel packer: words of any number of voxels into full beats of the voxel stream."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .voxel_bank import lane_bits
from .voxels import beat_layout, word_layout


class VoxelPacker(wiring.Component):
    """Pack words of 1 to ``voxels_per_beat`` voxels: every beat is full but the last of a job.

    Voxels that a beat does not have are 0.

    Latency: 1 cycle. Throughput: one word per cycle; the last word of a job may take two.

    Parameters
    ----------
    voxels_per_beat : int
        2, 4 or 8.
    bits : int
        Bits of a voxel.

    Attributes
    ----------
    words : In(stream of word_layout(bits, voxels_per_beat))
    beats : Out(stream of beat_layout(bits, voxels_per_beat))
    """

    def __init__(self, voxels_per_beat: int, bits: int):
        self.voxels_per_beat = voxels_per_beat
        self.bits = bits
        super().__init__(
            {
                "words": In(stream.Signature(word_layout(bits, voxels_per_beat))),
                "beats": Out(stream.Signature(beat_layout(bits, voxels_per_beat))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        count, bits = self.voxels_per_beat, self.bits
        word, beats = self.words.payload, self.beats
        # Voxels that wait for a full beat, and the end of a job that waits with them.
        rest = Signal((count - 1) * bits, reset_less=True)
        level = Signal(range(count))
        flush = Signal()
        beat_free = Signal()
        m.d.comb += [
            beat_free.eq(~beats.valid | beats.ready),
            self.words.ready.eq(beat_free & ~flush),
        ]

        arriving = Cat(
            Mux(word.more >= number, word.value.word_select(number, bits), 0)
            for number in range(count)
        )
        waiting = Cat(
            Mux(level > number, rest.word_select(number, bits), 0) for number in range(count - 1)
        )
        together = Signal((2 * count - 1) * bits)
        total = Signal(range(2 * count))
        m.d.comb += [
            together.eq(waiting | Mux(flush, 0, arriving << (level * bits))),
            total.eq(level + Mux(flush, 0, word.more + 1)),
        ]
        overflow = total[lane_bits(count) :]  # a full beat, with `total % count` voxels left
        left = total[: lane_bits(count)]
        ends = flush | word.last
        with m.If(beats.ready):
            m.d.sync += beats.valid.eq(0)
        with m.If(beat_free & (flush | self.words.valid)):
            m.d.sync += [
                flush.eq(~flush & word.last & overflow.any() & (left != 0)),
                level.eq(Mux(ends & ~overflow.any(), 0, left)),
                rest.eq(Mux(overflow.any(), together[count * bits :], together)),
                beats.valid.eq(ends | overflow.any()),
                beats.payload.value.eq(together),
                beats.payload.last.eq(ends & (~overflow.any() | (left == 0))),
                beats.payload.keep.eq(
                    Cat(overflow.any() | (total > number) for number in range(count))
                ),
            ]
        return m
