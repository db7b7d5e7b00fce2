"""Voxel bank: the voxels of a row, from the requantizer to the voxel reader."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from implicore.dataflow import voxel_words

from .memory import Bank, Ram, address_bits, ping_pong_depth
from .pipeline import delay_line, enabled_register


def lane_bits(voxels_per_beat: int) -> int:
    """Return the number of address bits that select a voxel in its word."""
    return voxels_per_beat.bit_length() - 1


def word_address_bits(outputs: int, voxels_per_beat: int) -> int:
    """Return the width of a word's address; the highest bit selects the half."""
    return address_bits(voxel_words(outputs, voxels_per_beat)) + 1


def voxel_address_bits(outputs: int, voxels_per_beat: int) -> int:
    """Return the width of a voxel's address: the voxel in its word, the word, the half."""
    return lane_bits(voxels_per_beat) + word_address_bits(outputs, voxels_per_beat)


def voxel_bank(outputs: int, voxels_per_beat: int, bits: int) -> Bank:
    """Return the memory of a row's voxels."""
    words = voxel_words(outputs, voxels_per_beat)
    return Bank("voxels", ping_pong_depth(words), voxels_per_beat * bits)


class VoxelBank(wiring.Component):
    """Collect the voxels of a point in words and hold them until they are read.

    The bank is a ping-pong buffer: the voxels of one tile can be read while those of the next
    arrive. A word has the voxels of one beat, the first one in its lowest bits. Voxels arrive in
    order; the last word of a point may be incomplete, and its other voxels are undefined.

    There is no reset: the tokens that write and read drain by themselves.

    Latency: 3 cycles from ``read_enable`` to ``word``. Throughput: one voxel and one read per
    cycle.

    Parameters
    ----------
    outputs : int
        Maximum number of voxels of a point.
    voxels_per_beat : int
        Voxels of a word.
    bits : int
        Bits of a voxel.

    Attributes
    ----------
    valid : In(1)
        ``voxel`` is valid.
    write : In(1)
        It is the last voxel of a word or of a point.
    address : In
        Its address: ``voxel_address_bits``.
    voxel : In(bits)
    read_enable : In(1)
        Read a word.
    read_address : In
        Its address.
    word : Out(voxels_per_beat * bits)
        The word that was read, in one cycle; otherwise zero.
    """

    def __init__(self, outputs: int, voxels_per_beat: int, bits: int):
        self.outputs = outputs
        self.voxels_per_beat = voxels_per_beat
        self.bits = bits
        super().__init__(
            {
                "valid": In(1),
                "write": In(1),
                "address": In(voxel_address_bits(outputs, voxels_per_beat)),
                "voxel": In(bits),
                "read_enable": In(1),
                "read_address": In(word_address_bits(outputs, voxels_per_beat)),
                "word": Out(voxels_per_beat * bits),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.bank = bank = Ram(*voxel_bank(self.outputs, self.voxels_per_beat, self.bits))
        # Earlier voxels of the word wait in registers; the last one goes into the bank with them.
        lane = self.address[: lane_bits(self.voxels_per_beat)]
        voxels = []
        for number in range(self.voxels_per_beat - 1):
            here = Signal(name=f"here_{number}")
            m.d.comb += here.eq(self.valid & (lane == number))
            held = enabled_register(m, self.voxel, here, name=f"voxel_{number}")
            voxels.append(Mux(here, self.voxel, held))
        # The reader's registers drive the banks of many rows, and a deep bank is several macros.
        read_enable = delay_line(m, self.read_enable, 1, name="read_enable")
        read_address = enabled_register(m, self.read_address, self.read_enable, name="read_address")
        read = delay_line(m, read_enable, 1, name="read")
        m.d.comb += [
            bank.write_enable.eq(self.write),
            bank.write_address.eq(self.address[lane_bits(self.voxels_per_beat) :]),
            bank.write_data.eq(Cat(*voxels, self.voxel)),
            bank.read_enable.eq(read_enable),
            bank.read_address.eq(read_address),
        ]
        word = enabled_register(m, bank.read_data, read, name="word")
        m.d.comb += self.word.eq(Mux(delay_line(m, read, 1, name="valid"), word, 0))
        return m
