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
        come = Signal(range(self.rows + 1))
        gone = Signal(address_bits(self.rows))
        stock = Signal(range(self.rows + 1))
        transfer = valid & self.voxels.ready
        m.d.comb += [
            self.free.eq(~claimed),
            write.en.eq(self.put),
            write.addr.eq(come),
            write.data.eq(self.value),
            read.addr.eq(gone),
            self.voxels.valid.eq(valid),
            self.voxels.payload.value.eq(read.data),
            self.voxels.payload.last.eq(at_last & current_tile.last),
        ]
        m.d.sync += [
            stock.eq(stock + self.put - transfer),
            valid.eq(claimed & ~delivered & ((stock != 0) | self.put)),
        ]
        with m.If(self.put):
            m.d.sync += come.eq(come + 1)
        with m.If(transfer):
            m.d.sync += [
                # It stays within the memory, or an idle output would be unknown.
                gone.eq(gone + ~at_last),
                at_last.eq(current_tile.rows == gone + 1),
                delivered.eq(at_last),
                valid.eq(~at_last & (stock[1:].any() | self.put)),  # another one is there
            ]
        with m.If((delivered | (transfer & at_last)) & (come == self.rows)):
            m.d.sync += claimed.eq(0)
        with m.If(self.reserve):
            m.d.sync += [
                claimed.eq(1),
                delivered.eq(0),
                valid.eq(0),
                current_tile.eq(self.tile),
                at_last.eq(self.tile.rows == 0),
                come.eq(0),
                gone.eq(0),
                stock.eq(0),
            ]
        return m
