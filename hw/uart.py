"""An 8N1 UART: one start bit, eight data bits (lowest first), one stop bit."""

from amaranth import Cat, Module, Signal
from amaranth.lib import cdc, data, stream, wiring
from amaranth.lib.wiring import In, Out

from implicore.arguments import require_integer

MIN_DIVISOR, MAX_DIVISOR = 4, 1 << 16

RECEIVED = data.StructLayout({"data": 8, "framing_error": 1})
"""A byte; ``framing_error`` is high if its stop bit is low."""


class UartReceiver(wiring.Component):
    """Receive bytes, sampling each bit in its middle.

    There is no flow control: a byte is valid for one cycle. After a framing error the line must be
    high before another byte can start.

    Latency: half a bit period and three cycles from the start of the stop bit.

    Parameters
    ----------
    divisor : int
        Clock cycles per bit.

    Attributes
    ----------
    line : In(1)
        Asynchronous.
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
        timer = Signal(range(self.divisor))
        shift = Signal(9, reset_less=True)  # the start bit and the data bits
        bits_left = Signal(range(10))
        m.d.sync += [self.valid.eq(0), timer.eq(timer - 1)]
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [timer.eq(self.divisor // 2 - 1), bits_left.eq(9)]
                with m.If(~line):
                    m.next = "BITS"
            with m.State("BITS"), m.If(timer == 0):
                m.d.sync += [
                    timer.eq(self.divisor - 1),
                    bits_left.eq(bits_left - 1),
                    shift.eq(Cat(shift[1:], line)),
                ]
                with m.If((bits_left == 9) & line):
                    m.next = "IDLE"  # a glitch
                with m.If(bits_left == 0):
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
    """Transmit bytes.

    Latency: the start bit begins one cycle after a byte is accepted. Throughput: one byte per ten
    bit periods and one cycle.

    Parameters
    ----------
    divisor : int
        Clock cycles per bit.

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
        timer = Signal(range(self.divisor))
        bits_left = Signal(range(11))  # bits, including the one on the line
        shift = Signal(9)
        m.d.comb += self.bytes.ready.eq(bits_left == 0)
        m.d.sync += timer.eq(timer - 1)
        with m.If(self.bytes.ready):
            m.d.sync += timer.eq(self.divisor - 1)
            with m.If(self.bytes.valid):
                m.d.sync += [
                    bits_left.eq(10),
                    self.line.eq(0),
                    shift.eq(Cat(self.bytes.payload, 1)),
                ]
        with m.Elif(timer == 0):
            m.d.sync += [
                timer.eq(self.divisor - 1),
                bits_left.eq(bits_left - 1),
                self.line.eq(shift[0]),
                shift.eq(Cat(shift[1:], 1)),
            ]
        return m
