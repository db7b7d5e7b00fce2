"""Queue of requests that have been checked and wait for execution."""

from amaranth import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..memory import Ram, address_bits

TOKEN = data.StructLayout({"data": 8, "end": 1})
"""A byte of a request, or the request's end."""

QUEUE_WRITE = wiring.Signature(
    {"put": Out(1), "token": Out(TOKEN), "full": In(1), "commit": Out(1), "drop": Out(1)}
)
"""The write port of a queue.

``put`` writes a token unless ``full`` is high. ``full`` rises two cycles after the token that fills
the queue. ``commit`` releases all tokens written so far for reading; ``drop`` removes the tokens
that are not committed.
"""


class RequestQueue(wiring.Component):
    """A FIFO of tokens that can be dropped until they are committed.

    Latency: 4 cycles from ``commit`` to the first token. Throughput: one write per two cycles, one
    read per three cycles.

    Parameters
    ----------
    depth : int
        Tokens, a power of two.

    Attributes
    ----------
    write : In(QUEUE_WRITE)
    tokens : Out(stream of TOKEN)
    """

    def __init__(self, depth: int):
        if depth < 2 or depth & (depth - 1):
            raise ValueError(f"Queue depth must be a power of two, not {depth}.")
        self.depth = depth
        super().__init__({"write": In(QUEUE_WRITE), "tokens": Out(stream.Signature(TOKEN))})

    def elaborate(self, platform):
        m = Module()
        bits = address_bits(self.depth)
        write = self.write
        m.submodules.ram = ram = Ram("requests", self.depth, TOKEN.size)
        # One bit more than an address distinguishes full from empty.
        written, committed, read = (
            Signal(bits + 1, name=name) for name in ("written", "committed", "read")
        )
        fetch = Signal()
        fetched = Signal()
        token_valid = Signal()
        token = Signal(TOKEN, reset_less=True)  # a memory's output is valid late in its cycle
        m.d.comb += [
            ram.write_enable.eq(write.put & ~write.full),
            ram.write_address.eq(written),
            ram.write_data.eq(write.token),
            fetch.eq((committed != read) & ~fetched & ~token_valid),
            ram.read_enable.eq(fetch),
            ram.read_address.eq(read),
            self.tokens.valid.eq(token_valid),
            self.tokens.payload.eq(token),
        ]
        m.d.sync += [fetched.eq(fetch), write.full.eq((written ^ read) == self.depth)]
        with m.If(ram.write_enable):
            m.d.sync += written.eq(written + 1)
        with m.If(write.commit):
            m.d.sync += committed.eq(written)
        with m.If(write.drop):
            m.d.sync += written.eq(committed)
        with m.If(fetch):
            m.d.sync += read.eq(read + 1)
        with m.If(fetched):
            m.d.sync += [token.eq(ram.read_data), token_valid.eq(1)]
        with m.If(token_valid & self.tokens.ready):
            m.d.sync += token_valid.eq(0)
        return m
