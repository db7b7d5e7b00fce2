"""One multiply-accumulate of the array."""

from amaranth import Module, Mux, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from implicore.dataflow import PE_LATENCY
from implicore.formats import Formats


class Multiplier(wiring.Component):
    """Signed weight times unsigned activation, combinational.

    A module of its own, so that synthesis and the reader both find it.

    Parameters
    ----------
    formats : Formats

    Attributes
    ----------
    weight : In(signed(weight_bits))
    activation : In(unsigned(activation_bits))
    product : Out(signed(weight_bits + activation_bits))
    """

    def __init__(self, formats: Formats):
        self.formats = formats
        super().__init__(
            {
                "weight": In(signed(formats.weight_bits)),
                "activation": In(unsigned(formats.activation_bits)),
                "product": Out(signed(formats.weight_bits + formats.activation_bits)),
            }
        )

    def elaborate(self, platform):
        """Amaranth's hook."""
        m = Module()
        m.d.comb += self.product.eq(self.weight * self.activation)
        return m


class ProcessingElement(wiring.Component):
    """Accumulates products; passes the weight down and the activation right, each a cycle later.

    Three pipeline stages: operands, product, sum. The sum is final, and ``done`` must be high, in
    the cycle ``LATENCY`` after the last operands were given; the product behind it then begins the
    next sum. A zero activation is a step that does nothing, so the pipeline never stops. Nothing
    is reset: a ``done`` in any earlier cycle clears what was there.

    Latency: 3 cycles from operands to sum. Throughput: a product a cycle.

    Parameters
    ----------
    formats : Formats
    gate_zeros : bool
        Leave product and sum as they are while the activation is zero: where the clocks of
        registers with an enable are gated, theirs stand still.

    Attributes
    ----------
    weight_in, activation_in : In
        The operands, signed and unsigned.
    done : In(1)
        The sum is final in this cycle.
    weight_out, activation_out : Out
        The operands of the cycle before, for the neighbours below and to the right.
    sum : Out(signed(accumulator_bits))
    empty : Out(1)
        With ``gate_zeros`` only: nothing was added, and the sum is 0 whatever ``sum`` holds.
    """

    LATENCY = PE_LATENCY

    def __init__(self, formats: Formats, *, gate_zeros: bool = False):
        self.formats = formats
        self.gate_zeros = gate_zeros
        empty = {"empty": Out(1)} if gate_zeros else {}
        super().__init__(
            {
                "weight_in": In(signed(formats.weight_bits)),
                "activation_in": In(unsigned(formats.activation_bits)),
                "done": In(1),
                "weight_out": Out(signed(formats.weight_bits)),
                "activation_out": Out(unsigned(formats.activation_bits)),
                "sum": Out(signed(formats.accumulator_bits)),
                **empty,
            }
        )

    def elaborate(self, platform):
        """Amaranth's hook."""
        m = Module()
        m.submodules.multiplier = multiplier = Multiplier(self.formats)
        weight = Signal.like(self.weight_in, reset_less=True)
        activation = Signal.like(self.activation_in, reset_less=True)
        product = Signal.like(multiplier.product, reset_less=True)
        total = Signal.like(self.sum, reset_less=True)
        m.d.sync += [weight.eq(self.weight_in), activation.eq(self.activation_in)]
        m.d.comb += [
            self.weight_out.eq(weight),
            self.activation_out.eq(activation),
            self.sum.eq(total),
        ]
        m.d.comb += [multiplier.weight.eq(weight), multiplier.activation.eq(activation)]
        if not self.gate_zeros:
            m.d.sync += [
                product.eq(multiplier.product),
                total.eq(Mux(self.done, 0, total) + product),
            ]
        else:
            moving = activation.any()
            product_moving = Signal(reset_less=True)
            nothing = Signal(reset_less=True)
            begins = self.done | nothing
            m.d.sync += [product_moving.eq(moving), nothing.eq(begins & ~product_moving)]
            m.d.comb += self.empty.eq(nothing)
            with m.If(moving):
                m.d.sync += product.eq(multiplier.product)
            with m.If(product_moving):
                m.d.sync += total.eq(Mux(begins, 0, total) + product)
        return m
