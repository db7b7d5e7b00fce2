"""Sine and cosine of a phase in turns."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from implicore.sincos import GUARD, SineTable

from .memory import Rom
from .pipeline import delay_line


class SinCosTable(wiring.Component):
    """Look up the cosine or sine of a phase in ``implicore.sincos.SineTable``.

    The cosine and the sine of a phase are read from the same table in different cycles. The table
    holds a quarter wave; the other quarters follow by inverting the address and the output.

    Latency: ``latency`` cycles: 2, or 3 where the table is split in two (12 or more address bits).
    Throughput: one value per cycle.

    Parameters
    ----------
    address_bits, output_bits : int
        As in ``SineTable``, with the same limits.

    Attributes
    ----------
    phase : In(address_bits)
        The phase, in units of ``2**-address_bits`` turns.
    cosine : In(1)
        Look up the cosine instead of the sine.
    value : Out(output_bits)
        The value.
    """

    def __init__(self, address_bits: int, output_bits: int):
        self.address_bits = address_bits
        self.output_bits = output_bits
        _ = self.table  # checks the arguments
        super().__init__({"phase": In(address_bits), "cosine": In(1), "value": Out(output_bits)})

    @property
    def table(self) -> SineTable:
        """The contents of the ROMs."""
        return SineTable(self.address_bits, self.output_bits)

    @property
    def latency(self) -> int:
        """Cycles from ``phase`` to ``value``."""
        return 2 if self.table.slope is None else 3

    def elaborate(self, platform):
        m = Module()
        table = self.table
        quarter_bits = table.address_bits - 2
        magnitude_bits = table.output_bits - 1
        quadrant = Signal(2)
        address = Signal(quarter_bits)
        m.d.comb += [
            quadrant.eq(self.phase[quarter_bits:] + self.cosine),  # cos x = sin(x + 1/4 turn)
            address.eq(self.phase[:quarter_bits] ^ quadrant[0].replicate(quarter_bits)),
        ]
        value = Signal(table.output_bits, reset_less=True)
        m.d.comb += self.value.eq(value)
        if table.slope is None:
            m.submodules.base = base = Rom(table.base, magnitude_bits)
            m.d.comb += base.address.eq(address)
            magnitude = delay_line(m, base.data, 1, name="base")
        else:
            n0, n1, n2 = table.split
            upper = address[n2 - 1]
            m.submodules.base = base = Rom(table.base, magnitude_bits + GUARD)
            m.submodules.slope = slope = Rom(table.slope.ravel(), table.slope_bits)
            position = address[: n2 - 1] ^ (~upper).replicate(n2 - 1)
            m.d.comb += [
                base.address.eq(address[n2:]),
                slope.address.eq(Cat(position, address[n1 + n2 :])),
            ]
            upper = delay_line(m, upper, 1, name="upper")
            start = delay_line(m, base.data, 1, name="base")
            rise = delay_line(m, slope.data, 1, name="slope")
            total = Signal(magnitude_bits + GUARD, reset_less=True)
            m.d.sync += total.eq(Mux(upper, start + rise, start - rise))
            magnitude = total[GUARD:]
        negative = delay_line(m, quadrant[1], self.latency - 1, name="negative")
        m.d.sync += value.eq(Cat(magnitude, 1) ^ negative.replicate(table.output_bits))
        return m
