"""Sums to activations and voxels: ``implicore.fixed.requantize`` as a pipeline."""

from amaranth import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from implicore.dataflow import requantizer_latency
from implicore.fixed import OFFSET_FRACTION
from implicore.formats import Formats

from .pipeline import enabled_register


class Requantizer(wiring.Component):
    """Scales, offsets and saturates one sum a cycle.

    ``result = (((sum * multiplier << 3) >> shift) + offset) >> 3``, saturated to 0 and the
    greatest activation or voxel, where 3 is ``OFFSET_FRACTION`` and ``shift = 8 * coarse + fine``.
    Saturation at 0 is the ReLU.

    Each constant is read in the cycle in which its stage uses it, ``later(formats)[name]`` cycles
    after the sum; ``multiplier`` comes with the sum. The constants therefore need no registers
    here, which would be as many as those of the sum.

    A stage works only while it is enabled: few cycles bring a sum, and the clock of what waits
    can be gated.

    Latency: ``latency`` cycles: 5, or 4 without multiplier bits. Throughput: a sum a cycle.

    Parameters
    ----------
    formats : Formats

    Attributes
    ----------
    sum : In(signed(accumulator_bits))
    enables : In(latency)
        Bit n: what stands before stage n, n cycles after the sum, is wanted.
    multiplier : In(unsigned(multiplier_bits))
        Absent if there are no multiplier bits.
    coarse, fine : In(3)
    offset : In(signed(offset_bits))
    voxel : In(1)
        Saturate to a voxel's rather than to an activation's range.
    result : Out(max(activation_bits, output_bits))
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
    def later(formats: Formats) -> dict[str, int]:
        """Cycles from the sum to each of its constants."""
        names = ["multiplier", "coarse", "fine", "offset", "voxel"]
        if not formats.multiplier_bits:
            del names[0]
        return {name: cycles for cycles, name in enumerate(names)}

    @property
    def latency(self) -> int:
        """Cycles from sum to result."""
        return requantizer_latency(self.formats)

    def elaborate(self, platform):
        """Amaranth's hook."""
        m = Module()
        formats = self.formats
        stages = iter(self.enables)

        def stage(shape, value, name: str) -> Signal:
            """The value a cycle later, if it is wanted."""
            standing = Signal(shape, name=name)
            m.d.comb += standing.eq(value)
            return enabled_register(m, standing, next(stages), name=name)

        value = self.sum
        if formats.multiplier_bits:
            product = value * self.multiplier
            value = stage(signed(formats.requantizer_bits), product, "product")
        value = value << OFFSET_FRACTION
        octets_gone = stage(value.shape(), value >> (self.coarse << 3), "octets_gone")

        # One bit more than the offset is enough: a value beyond it stays beyond every result
        # when the offset, at most half as large, is added.
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
        # The bits above an activation are left as they come: its bank has no room for them.
        saturated = Mux(whole < 0, 0, whole.as_unsigned() | above.replicate(len(whole)))
        m.d.comb += self.result.eq(stage(len(self.result), saturated, "saturated"))
        return m


def clip(value, shape):
    """The value saturated to a narrower signed shape."""
    width = shape.width
    if len(value) <= width:
        return value
    sign = value[-1]
    fits = value[width - 1 :] == sign.replicate(len(value) - width + 1)
    end = Cat((~sign).replicate(width - 1), sign)
    return Mux(fits, value[:width], end).as_signed()
