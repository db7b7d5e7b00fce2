"""The memory that every bank is made of: a module with plain ports, to be swapped for a macro."""

from typing import NamedTuple

from amaranth import Module
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out


def address_bits(depth: int) -> int:
    """Width of an address; a memory of one word still has an address port."""
    return max(1, (depth - 1).bit_length())


class Bank(NamedTuple):
    """What a ``Ram`` is made from."""

    role: str
    depth: int
    width: int


class Ram(wiring.Component):
    """One write and one read port, synchronous.

    Reading an address in the very cycle in which it is written gives anything: no bank does so,
    and a macro need not promise more. ``read_data`` holds its value while ``read_enable`` is low.

    Latency: read data stand one cycle after the address. Throughput: a read and a write a cycle.

    Parameters
    ----------
    role : str
        What it holds, for the list of memories that accompanies the Verilog.
    depth, width : int
        Words, and bits of a word.

    Attributes
    ----------
    write_enable, write_address, write_data : In
    read_enable, read_address : In
    read_data : Out
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
        """Amaranth's hook."""
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
    """Constants with one read port, combinational: logic among other logic.

    With a register behind it, it may become block RAM.

    Parameters
    ----------
    words : sequence of int
    width : int

    Attributes
    ----------
    address : In
    data : Out
    """

    def __init__(self, words, width: int):
        self.words = tuple(int(word) for word in words)
        self.width = width
        super().__init__({"address": In(address_bits(len(self.words))), "data": Out(width)})

    def elaborate(self, platform):
        """Amaranth's hook."""
        m = Module()
        m.submodules.array = array = memory.Memory(
            shape=self.width, depth=len(self.words), init=self.words
        )
        read = array.read_port(domain="comb")
        m.d.comb += [read.addr.eq(self.address), self.data.eq(read.data)]
        return m
