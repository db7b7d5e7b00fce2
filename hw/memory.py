"""The memories of all banks: modules with plain ports that an SRAM macro can replace."""

from typing import NamedTuple

from amaranth import Module
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out


def address_bits(depth: int) -> int:
    """Return the width of an address. A memory of one word still has an address port."""
    return max(1, (depth - 1).bit_length())


def ping_pong_depth(words: int) -> int:
    """Return the depth of a ping-pong buffer: the highest address bit selects the half."""
    return (1 << address_bits(words)) + words


class Bank(NamedTuple):
    """The parameters of a ``Ram``."""

    role: str
    depth: int
    width: int


class Ram(wiring.Component):
    """A memory with one write port and one read port, both synchronous.

    A read of the address that is written in the same cycle returns an undefined value: no bank
    does this, and a macro need not define it. ``read_data`` keeps its value while ``read_enable``
    is low.

    Latency: 1 cycle from ``read_address`` to ``read_data``. Throughput: one read and one write per
    cycle.

    Parameters
    ----------
    role : str
        What the memory holds, for the list of memories in the sidecar.
    depth : int
        Words.
    width : int
        Bits of a word.

    Attributes
    ----------
    write_enable : In(1)
        Write in this cycle.
    write_address, write_data : In
        The address to write, and the word.
    read_enable : In(1)
        Read in this cycle.
    read_address : In
        The address to read.
    read_data : Out(width)
        The word that was read last.
    """

    def __init__(self, role: str, depth: int, width: int):
        self.role = role
        self.depth = depth
        self.width = width
        super().__init__(
            {
                "write_enable": In(1),
                "write_address": In(address_bits(depth)),
                "write_data": In(width),
                "read_enable": In(1),
                "read_address": In(address_bits(depth)),
                "read_data": Out(width),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.array = array = memory.Memory(shape=self.width, depth=self.depth, init=[])
        write = array.write_port()
        read = array.read_port()
        m.d.comb += [
            write.en.eq(self.write_enable),
            write.addr.eq(self.write_address),
            write.data.eq(self.write_data),
            read.en.eq(self.read_enable),
            read.addr.eq(self.read_address),
            self.read_data.eq(read.data),
        ]
        return m


class Rom(wiring.Component):
    """Constants with one combinational read port, built from logic.

    With a register at its output, synthesis may map it to block RAM.

    Parameters
    ----------
    words : sequence of int
    width : int
        Bits of a word.

    Attributes
    ----------
    address : In
        The address of the word.
    data : Out(width)
        The word, in the same cycle.
    """

    def __init__(self, words, width: int):
        self.words = tuple(int(word) for word in words)
        self.width = width
        super().__init__({"address": In(address_bits(len(self.words))), "data": Out(width)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.array = array = memory.Memory(
            shape=self.width, depth=len(self.words), init=self.words
        )
        read = array.read_port(domain="comb")
        m.d.comb += [read.addr.eq(self.address), self.data.eq(read.data)]
        return m
