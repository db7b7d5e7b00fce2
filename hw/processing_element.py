"""The processing element: one multiply-accumulate of the array."""

from amaranth import Module, Mux, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from implicore.dataflow import PE_LATENCY
from implicore.formats import Formats


class Multiplier(wiring.Component):
    """Multiply a signed weight by an unsigned activation, combinationally.

    It is a separate module, so that a synthesis tool or a user can replace it.

    Parameters
    ----------
    formats : Formats

    Attributes
    ----------
    weight : In(signed(weight_bits))
        First factor.
    activation : In(unsigned(activation_bits))
        Second factor.
    product : Out(signed(weight_bits + activation_bits))
        The exact product.
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
        m = Module()
        m.d.comb += self.product.eq(self.weight * self.activation)
        return m


class ProcessingElement(wiring.Component):
    """Accumulate products; pass the weight down and the activation right, each one cycle later.

    The three pipeline stages are operands, product and accumulator. The last product of a dot
    product is in the accumulator ``LATENCY`` cycles after its operands arrive; ``done`` must be
    high in that cycle, and the next product starts a new dot product. A step with a zero activation
    changes nothing, so the pipeline never stalls. There is no reset: ``done`` in any earlier cycle
    clears the accumulator.

    Latency: 3 cycles from operands to ``sum``. Throughput: one product per cycle.

    Parameters
    ----------
    formats : Formats
    gate_zeros : bool
        Hold product and accumulator while the activation is zero. Synthesis can then gate their
        clocks.

    Attributes
    ----------
    weight_in : In(signed(weight_bits))
        The weight.
    activation_in : In(unsigned(activation_bits))
        The activation.
    done : In(1)
        ``sum`` is complete in this cycle.
    weight_out : Out(signed(weight_bits))
        ``weight_in`` of the previous cycle, for the PE below.
    activation_out : Out(unsigned(activation_bits))
        ``activation_in`` of the previous cycle, for the PE to the right.
    sum : Out(signed(accumulator_bits))
        The accumulator.
    empty : Out(1)
        No product has been added, so the accumulator counts as 0 whatever ``sum`` shows. Present
        with ``gate_zeros`` only.
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
