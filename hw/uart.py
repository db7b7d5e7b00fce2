"""A serial line, 8N1: a start bit, eight data bits with the lowest first, a stop bit."""

from amaranth import Cat, Module, Signal
from amaranth.lib import cdc, data, stream, wiring
from amaranth.lib.wiring import In, Out

from implicore.arguments import require_integer

MIN_DIVISOR, MAX_DIVISOR = 4, 1 << 16

RECEIVED = data.StructLayout({"data": 8, "framing_error": 1})
"""A byte; ``framing_error`` if its stop bit is not high."""


class UartReceiver(wiring.Component):
    """Bytes from a line, each bit taken in its middle.

    A byte cannot wait: it is offered for one cycle. After a broken one the line must rise before
    another may start.

    Latency: a byte is offered half a bit after its stop bit began, and three cycles.

    Parameters
    ----------
    divisor : int
        Clock cycles of a bit.

    Attributes
    ----------
    line : In(1)
        Of any clock.
    valid : Out(1)
    byte : Out(RECEIVED)
    """

    def __init__(self, divisor: int):
        require_integer("UART", "divisor", divisor, MIN_DIVISOR, MAX_DIVISOR)
        self.divisor = divisor
        super().__init__({"line": In(1, init=1), "valid": Out(1), "byte": Out(RECEIVED)})

    def elaborate(self, platform):
        m = Module()
        line = Signal(init=1)
        m.submodules.synchronizer = cdc.FFSynchronizer(self.line, line, init=1)
        wait = Signal(range(self.divisor))
        shift = Signal(9, reset_less=True)  # the start bit and those of data
        left = Signal(range(10))
        m.d.sync += [self.valid.eq(0), wait.eq(wait - 1)]
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [wait.eq(self.divisor // 2 - 1), left.eq(9)]
                with m.If(~line):
                    m.next = "BITS"
            with m.State("BITS"), m.If(wait == 0):
                m.d.sync += [
                    wait.eq(self.divisor - 1),
                    left.eq(left - 1),
                    shift.eq(Cat(shift[1:], line)),
                ]
                with m.If((left == 9) & line):
                    m.next = "IDLE"  # too short for a start bit
                with m.If(left == 0):
                    m.d.sync += [
                        self.valid.eq(1),
                        self.byte.data.eq(shift[1:]),
                        self.byte.framing_error.eq(~line),
                    ]
                    m.next = "STOP"
            with m.State("STOP"), m.If(line):
                m.next = "IDLE"
        return m


class UartTransmitter(wiring.Component):
    """Bytes to a line.

    Latency: the start bit begins one cycle after a byte is taken. Throughput: a byte in ten bits.

    Parameters
    ----------
    divisor : int
        Clock cycles of a bit.

    Attributes
    ----------
    bytes : In(stream of 8 bits)
    line : Out(1)
    """

    def __init__(self, divisor: int):
        require_integer("UART", "divisor", divisor, MIN_DIVISOR, MAX_DIVISOR)
        self.divisor = divisor
        super().__init__({"bytes": In(stream.Signature(8)), "line": Out(1, init=1)})

    def elaborate(self, platform):
        m = Module()
        wait = Signal(range(self.divisor))
        left = Signal(range(11))  # bits, the one on the line included
        shift = Signal(9)
        m.d.comb += self.bytes.ready.eq(left == 0)
        m.d.sync += wait.eq(wait - 1)
        with m.If(self.bytes.ready):
            m.d.sync += wait.eq(self.divisor - 1)
            with m.If(self.bytes.valid):
                m.d.sync += [left.eq(10), self.line.eq(0), shift.eq(Cat(self.bytes.payload, 1))]
        with m.Elif(wait == 0):
            m.d.sync += [
                wait.eq(self.divisor - 1),
                left.eq(left - 1),
                self.line.eq(shift[0]),
                shift.eq(Cat(shift[1:], 1)),
            ]
        return m
