"""Requantizer: ``implicore.fixed.requantize`` as a pipeline."""

from amaranth import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from implicore.dataflow import requantizer_latency
from implicore.fixed import OFFSET_FRACTION
from implicore.formats import Formats

from .pipeline import enabled_register


class Requantizer(wiring.Component):
    """Scale, offset and saturate one accumulator per cycle.

    ``result = (((sum * multiplier << 3) >> shift) + offset) >> 3``, saturated to the range from 0
    to the largest activation or voxel. 3 is ``OFFSET_FRACTION``, ``shift`` is
    ``8 * coarse + fine``. Saturation at 0 is the ReLU.

    Each constant is used in one stage: ``multiplier`` in the cycle of ``sum``, the others
    ``constant_delays`` cycles later. They are delayed outside, where one delay line serves all
    rows, so the requantizer of a row needs no registers for them.

    Each stage has an enable: few cycles carry an accumulator, and synthesis can gate the clock of
    an idle stage.

    Latency: ``latency`` cycles: 5, or 4 without multiplier bits. Throughput: one accumulator per
    cycle.

    Parameters
    ----------
    formats : Formats

    Attributes
    ----------
    sum : In(signed(accumulator_bits))
        The accumulator.
    enables : In(latency)
        Bit n enables stage n. It must be high n cycles after a valid ``sum``.
    multiplier : In(unsigned(multiplier_bits))
        The scale's mantissa. Absent without multiplier bits.
    coarse, fine : In(3)
        The shift: multiples of 8 bits, and the remaining bits.
    offset : In(signed(offset_bits))
        The offset, with ``OFFSET_FRACTION`` fraction bits.
    voxel : In(1)
        Saturate to the range of a voxel instead of an activation.
    result : Out(max(activation_bits, output_bits))
        The activation or voxel.
    """

    def __init__(self, formats: Formats):
        self.formats = formats
        ports = {
            "sum": In(signed(formats.accumulator_bits)),
            "enables": In(requantizer_latency(formats)),
            "coarse": In(3),
            "fine": In(3),
            "offset": In(signed(formats.offset_bits)),
            "voxel": In(1),
            "result": Out(max(formats.activation_bits, formats.output_bits)),
        }
        if formats.multiplier_bits:
            ports["multiplier"] = In(unsigned(formats.multiplier_bits))
        super().__init__(ports)

    @staticmethod
    def constant_delays(formats: Formats) -> dict[str, int]:
        """Cycles from ``sum`` to each constant."""
        names = ["multiplier", "coarse", "fine", "offset", "voxel"]
        if not formats.multiplier_bits:
            del names[0]
        return {name: cycles for cycles, name in enumerate(names)}

    @property
    def latency(self) -> int:
        """Cycles from ``sum`` to ``result``."""
        return requantizer_latency(self.formats)

    def elaborate(self, platform):
        m = Module()
        formats = self.formats
        stages = iter(self.enables)

        def stage(shape, value, name: str) -> Signal:
            """Register the value of a stage, with the stage's enable."""
            stage_input = Signal(shape, name=name)
            m.d.comb += stage_input.eq(value)
            return enabled_register(m, stage_input, next(stages), name=name)

        value = self.sum
        if formats.multiplier_bits:
            product = value * self.multiplier
            value = stage(signed(formats.requantizer_bits), product, "product")
        value = value << OFFSET_FRACTION
        octets_gone = stage(value.shape(), value >> (self.coarse << 3), "octets_gone")

        # One bit more than the offset suffices: a clipped value stays outside the range of every
        # result, since the offset is at most half as large.
        clipped_shape = signed(formats.offset_bits + 1)
        dropped = Signal(value.shape())
        m.d.comb += dropped.eq(octets_gone >> self.fine)
        clipped = stage(clipped_shape, clip(dropped, clipped_shape), "clipped")

        shifted = stage(signed(formats.offset_bits + 2), clipped + self.offset, "shifted")

        whole = shifted >> OFFSET_FRACTION
        above = Mux(
            self.voxel,
            whole[formats.output_bits :].any(),
            whole[formats.activation_bits :].any(),
        )
        # The bits above an activation need no saturation: the activation bank drops them.
        saturated = Mux(whole < 0, 0, whole.as_unsigned() | above.replicate(len(whole)))
        m.d.comb += self.result.eq(stage(len(self.result), saturated, "saturated"))
        return m


def clip(value, shape):
    """Saturate a value to a narrower signed shape."""
    width = shape.width
    if len(value) <= width:
        return value
    sign = value[-1]
    fits = value[width - 1 :] == sign.replicate(len(value) - width + 1)
    limit = Cat((~sign).replicate(width - 1), sign)
    return Mux(fits, value[:width], limit).as_signed()
