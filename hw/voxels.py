"""The buffer between the array, which cannot wait, and the consumer of voxels, who may."""

from amaranth import Module, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from .fourier import tile_layout
from .memory import address_bits


def voxel_layout(bits: int):
    """A voxel; ``last`` ends the job."""
    return data.StructLayout({"value": bits, "last": 1})


class VoxelBuffer(wiring.Component):
    """Holds the voxels of one tile.

    ``reserve`` claims the whole buffer for a tile; then the rows' voxels come, one a cycle at
    most, those of rows without a point included: they are dropped. ``free`` is high again when
    all have come and all that count have been delivered.

    Latency: 1 cycle. Throughput: a voxel a cycle within a tile.

    Parameters
    ----------
    rows : int
    bits : int
        Of a voxel.

    Attributes
    ----------
    reserve : In(1)
        Only while ``free``.
    tile : In(tile_layout(rows))
        Taken with ``reserve``.
    free : Out(1)
    put : In(1)
    value : In
        The next row's voxel.
    voxels : Out(stream of voxel_layout)
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
                "voxels": Out(stream.Signature(voxel_layout(bits))),
            }
        )

    def elaborate(self, platform):
        """Amaranth's hook."""
        m = Module()
        m.submodules.array = array = memory.Memory(
            shape=self.bits, depth=max(2, self.rows), init=[]
        )  # two at least, or it would have no address
        write = array.write_port()
        read = array.read_port(domain="comb")
        # Valid and last are registers: the interface and all that follows from it wait for them.
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
                # It stays within the memory, or an idle output would be unknown.
                read_pointer.eq(read_pointer + ~at_last),
                at_last.eq(current_tile.rows == read_pointer + 1),
                delivered.eq(at_last),
                valid.eq(~at_last & (level[1:].any() | self.put)),  # another one is there
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
