"""Voxel reader: reads the voxel banks of the rows in the order of the points."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from implicore.dataflow import FIFO_LATENCY, voxel_read_latency, voxel_words

from .fourier import tile_layout
from .memory import address_bits
from .pipeline import delay_line
from .voxel_bank import lane_bits, word_address_bits
from .voxels import word_layout


class VoxelReader(wiring.Component):
    """Read the voxels of each tile from the banks, point by point, into a stream of words.

    The banks are ping-pong buffers, so one tile is read while the next one is computed.
    ``reserve`` claims a half of all banks for a tile, ``complete`` says that row 0 has all its
    voxels. Row r gets its voxels r cycles later, and is read later still.

    A word arrives a fixed number of cycles after its read, in a FIFO that has room for all words on
    their way.

    Latency: ``voxel_read_latency`` and ``FIFO_LATENCY`` of ``dataflow`` from a read to ``words``.
    Throughput: one word per cycle; one more cycle per tile.

    Parameters
    ----------
    rows : int
        Points of a full tile.
    outputs : int
        Maximum number of voxels of a point, at least 2.
    voxels_per_beat : int
        Voxels of a word.
    bits : int
        Bits of a voxel.

    Attributes
    ----------
    last_output : In
        The program's number of voxels of a point, minus one.
    reserve : In(1)
        Claim a half. Allowed only while ``free`` is high.
    tile : In(tile_layout(rows))
        The tile, captured with ``reserve``.
    free : Out(1)
        A half can be claimed.
    complete : In(1)
        Row 0 writes its last voxel of the oldest incomplete tile in the next cycle.
    half : Out(1)
        The half that this tile is written to.
    read_enables : Out(rows)
        The read enable of each row's voxel bank.
    read_address : Out
        The read address of all banks.
    word : In
        The word, ``voxel_read_latency`` - 1 cycles after ``read_enables``.
    point : Out(1)
        The last word of a point is read.
    words : Out(stream of word_layout)
    """

    def __init__(self, rows: int, outputs: int, voxels_per_beat: int, bits: int):
        self.rows = rows
        self.outputs = outputs
        self.voxels_per_beat = voxels_per_beat
        self.bits = bits
        super().__init__(
            {
                "last_output": In(address_bits(outputs)),
                "reserve": In(1),
                "tile": In(tile_layout(rows)),
                "free": Out(1),
                "complete": In(1),
                "half": Out(1),
                "read_enables": Out(rows),
                "read_address": Out(word_address_bits(outputs, voxels_per_beat)),
                "word": In(voxels_per_beat * bits),
                "point": Out(1),
                "words": Out(stream.Signature(word_layout(bits, voxels_per_beat))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        layout = word_layout(self.bits, self.voxels_per_beat)
        word_bits = address_bits(voxel_words(self.outputs, self.voxels_per_beat))
        last_word = self.last_output >> lane_bits(self.voxels_per_beat)

        # The halves: claimed by the sequencer, complete, read.
        reserve_half = Signal()
        read_half = Signal()
        claimed = Signal(2)
        complete = Signal(2)
        tiles = Signal(data.ArrayLayout(tile_layout(self.rows), 2), reset_less=True)
        m.d.comb += self.free.eq(~claimed.bit_select(reserve_half, 1))
        with m.If(self.reserve):
            m.d.sync += [
                reserve_half.eq(~reserve_half),
                claimed.bit_select(reserve_half, 1).eq(1),
                tiles[reserve_half].eq(self.tile),
            ]
        with m.If(self.complete):
            m.d.sync += [self.half.eq(~self.half), complete.bit_select(self.half, 1).eq(1)]

        # Reads: a one-hot row, a word of it, and what has still to be read.
        reading = Signal()
        row = Signal(self.rows, init=1)
        word = Signal(word_bits)
        points_left = Signal(address_bits(self.rows), reset_less=True)
        last_tile = Signal(reset_less=True)
        read = Signal()
        point_ends, tile_ends = Signal(), Signal()
        latency = voxel_read_latency(self.rows)
        # Room for a word is free again two cycles after it is taken.
        depth = latency + FIFO_LATENCY + 3
        room = Signal(range(depth + 1), init=depth)
        has_room = Signal(init=1)
        taken = self.words.valid & self.words.ready
        m.d.comb += [
            read.eq(reading & has_room),
            point_ends.eq(read & (word == last_word)),
            tile_ends.eq(point_ends & (points_left == 0)),
            self.point.eq(point_ends),
        ]
        m.d.sync += [
            room.eq(room + taken - read),
            # One word of margin makes up for the register.
            has_room.eq((room > 1) | taken),
            self.read_enables.eq(row & read.replicate(self.rows)),
        ]
        with m.If(read):
            m.d.sync += [
                self.read_address.eq(word | (read_half << word_bits)),
                word.eq(word + 1),
            ]
        with m.If(point_ends):
            m.d.sync += [word.eq(0), row.eq(row.rotate_left(1)), points_left.eq(points_left - 1)]
        with m.If(tile_ends):
            m.d.sync += [
                reading.eq(0),
                row.eq(1),
                read_half.eq(~read_half),
                claimed.bit_select(read_half, 1).eq(0),
                complete.bit_select(read_half, 1).eq(0),
            ]
        with m.If(~reading & complete.bit_select(read_half, 1)):
            m.d.sync += [
                reading.eq(1),
                points_left.eq(tiles[read_half].rows),
                last_tile.eq(tiles[read_half].last),
            ]

        # The words on their way, into the FIFO.
        m.submodules.fifo = words = fifo.SyncFIFOBuffered(width=layout.size, depth=depth)
        entry = data.View(layout, words.w_data)
        m.d.comb += [
            words.w_en.eq(delay_line(m, read, latency, name="arrives", reset=True)),
            entry.value.eq(self.word),
            entry.last.eq(delay_line(m, tile_ends & last_tile, latency, name="last")),
            self.words.valid.eq(words.r_rdy),
            self.words.payload.eq(words.r_data),
            words.r_en.eq(self.words.ready),
        ]
        if self.voxels_per_beat > 1:
            partial = Signal(lane_bits(self.voxels_per_beat))
            full = self.voxels_per_beat - 1
            m.d.comb += partial.eq(Mux(word == last_word, self.last_output, full))
            m.d.comb += entry.more.eq(delay_line(m, partial, latency, name="more"))
        return m
