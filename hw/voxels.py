"""Voxel buffer of single voxels, and the layouts of all streams of voxels."""

from amaranth import Module, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from .fourier import tile_layout
from .memory import address_bits
from .voxel_bank import lane_bits


def word_layout(bits: int, voxels_per_beat: int):
    """Return the layout of a word of voxels.

    The first voxel is in the lowest bits of ``value``. ``last`` marks the last word of a job.
    Words of several voxels have ``more``, the number of voxels minus one; the others are undefined.
    """
    more = {"more": lane_bits(voxels_per_beat)} if voxels_per_beat > 1 else {}
    return data.StructLayout({"value": voxels_per_beat * bits, "last": 1, **more})


def beat_layout(bits: int, voxels_per_beat: int):
    """Return the layout of a beat: its voxels, which of them it has, and the end of a job.

    The first voxel is in the lowest bits of ``value``. Beats of one voxel have no ``keep``.
    """
    keep = {"keep": voxels_per_beat} if voxels_per_beat > 1 else {}
    return data.StructLayout({"value": voxels_per_beat * bits, "last": 1, **keep})


class VoxelBuffer(wiring.Component):
    """Hold the voxels of one voxel tile: of networks with one output.

    It decouples the array, which cannot stall, from the consumer of voxels.

    ``reserve`` claims the whole buffer for a tile. Then every row puts one voxel, at most one per
    cycle; the voxels of rows without a point are dropped. ``free`` rises again when all rows have
    put their voxels and all voxels of the tile have been delivered.

    Latency: 1 cycle. Throughput: one voxel per cycle within a tile.

    Parameters
    ----------
    rows : int
        Voxels of a full tile.
    bits : int
        Bits of a voxel.

    Attributes
    ----------
    reserve : In(1)
        Claim the buffer. Allowed only while ``free`` is high.
    tile : In(tile_layout(rows))
        The next tile, captured with ``reserve``.
    free : Out(1)
        The buffer can be reserved.
    put : In(1)
        ``value`` is valid.
    value : In(bits)
        The voxel of the next row.
    voxels : Out(stream of word_layout(bits, 1))
        The voxels in the order of the rows.
    """

    def __init__(self, rows: int, bits: int):
        self.rows = rows
        self.bits = bits
        super().__init__(
            {
                "reserve": In(1),
                "tile": In(tile_layout(rows)),
                "free": Out(1),
                "put": In(1),
                "value": In(bits),
                "voxels": Out(stream.Signature(word_layout(bits, 1))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.array = array = memory.Memory(
            shape=self.bits, depth=max(2, self.rows), init=[]
        )  # a memory of one word would have no address
        write = array.write_port()
        read = array.read_port(domain="comb")
        # Valid and last come from registers, since the output interface adds delay after them.
        current_tile = Signal(tile_layout(self.rows))
        claimed = Signal()
        delivered = Signal()
        valid = Signal()
        at_last = Signal()
        write_pointer = Signal(range(self.rows + 1))
        read_pointer = Signal(address_bits(self.rows))
        level = Signal(range(self.rows + 1))
        transfer = valid & self.voxels.ready
        m.d.comb += [
            self.free.eq(~claimed),
            write.en.eq(self.put),
            write.addr.eq(write_pointer),
            write.data.eq(self.value),
            read.addr.eq(read_pointer),
            self.voxels.valid.eq(valid),
            self.voxels.payload.value.eq(read.data),
            self.voxels.payload.last.eq(at_last & current_tile.last),
        ]
        m.d.sync += [
            level.eq(level + self.put - transfer),
            valid.eq(claimed & ~delivered & ((level != 0) | self.put)),
        ]
        with m.If(self.put):
            m.d.sync += write_pointer.eq(write_pointer + 1)
        with m.If(transfer):
            m.d.sync += [
                # The pointer stays within the memory; otherwise an idle output would be X.
                read_pointer.eq(read_pointer + ~at_last),
                at_last.eq(current_tile.rows == read_pointer + 1),
                delivered.eq(at_last),
                valid.eq(~at_last & (level[1:].any() | self.put)),  # another voxel is available
            ]
        with m.If((delivered | (transfer & at_last)) & (write_pointer == self.rows)):
            m.d.sync += claimed.eq(0)
        with m.If(self.reserve):
            m.d.sync += [
                claimed.eq(1),
                delivered.eq(0),
                valid.eq(0),
                current_tile.eq(self.tile),
                at_last.eq(self.tile.rows == 0),
                write_pointer.eq(0),
                read_pointer.eq(0),
                level.eq(0),
            ]
        return m
