"""A pipelined CORDIC, the usual alternative to a sine table, for ``bench/sincos.py``.

Rotation mode (Volder 1959): a vector is rotated by +-atan(2^-i) until the remaining phase is small.
Each rotation takes two shifts and two additions. The initial length of the vector compensates for
the gain of all rotations, so no multiplication is needed. As in ``implicore.sincos.SineTable``,
phases and outputs represent the middle of their interval.
"""

import numpy as np
from amaranth import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class Cordic(wiring.Component):
    """Compute the cosine and sine of one phase per cycle.

    Latency: ``latency`` cycles, one per rotation plus two.

    Parameters
    ----------
    address_bits, output_bits : int
        As in ``SineTable``.
    turns : int
        Number of rotations.
    guard : int
        Extra bits of vector and phase during the rotations.

    Attributes
    ----------
    phase : In(address_bits)
    cosine, sine : Out(output_bits)
    """

    def __init__(self, address_bits: int, output_bits: int, turns: int, guard: int):
        self.address_bits = address_bits
        self.output_bits = output_bits
        self.turns = turns
        self.guard = guard
        super().__init__(
            {"phase": In(address_bits), "cosine": Out(output_bits), "sine": Out(output_bits)}
        )

    @property
    def latency(self) -> int:
        """Cycles from phase to both values."""
        return self.turns + 2

    @property
    def phase_bits(self) -> int:
        """Bits of the remaining phase, including guard bits."""
        return self.address_bits + self.guard

    @property
    def start(self) -> int:
        """Length of the initial vector, in units of the output with guard bits."""
        shrinks = np.prod(np.cos(np.arctan(2.0 ** -np.arange(self.turns))))
        return int(round(shrinks * (1 << (self.output_bits - 1 + self.guard))))

    @property
    def angles(self) -> list[int]:
        """Angles of the rotations, in units of the phase with guard bits."""
        turns = np.arctan(2.0 ** -np.arange(self.turns)) / (2 * np.pi)
        return [int(round(turn * (1 << self.phase_bits))) for turn in turns]

    def compute(self, phase: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compute cosine and sine in numpy, bit for bit as the hardware does."""
        z = ((np.asarray(phase, np.int64) << 1 | 1) << self.guard) >> 1
        quarter = 1 << (self.phase_bits - 2)
        quadrant = (z + quarter // 2) >> (self.phase_bits - 2)
        z = z - (quadrant << (self.phase_bits - 2))
        x, y = np.full_like(z, self.start), np.zeros_like(z)
        for turn, angle in enumerate(self.angles):
            right = z < 0
            x, y = (
                np.where(right, x + (y >> turn), x - (y >> turn)),
                np.where(right, y - (x >> turn), y + (x >> turn)),
            )
            z = np.where(right, z + angle, z - angle)
        quadrant &= 3
        swapped = quadrant & 1 == 1
        cosine, sine = np.where(swapped, y, x), np.where(swapped, x, y)
        cosine = np.where((quadrant == 1) | (quadrant == 2), ~cosine, cosine)
        sine = np.where(quadrant >= 2, ~sine, sine)
        return self._output(cosine), self._output(sine)

    def _output(self, value: np.ndarray) -> np.ndarray:
        half = 1 << (self.output_bits - 1)
        return np.clip(value >> self.guard, -half, half - 1) + half

    def elaborate(self, platform):
        """Build the pipeline."""
        m = Module()
        width = signed(self.output_bits + self.guard + 1)
        half = 1 << (self.output_bits - 1)
        fine = Signal(self.phase_bits)
        quarter_bits = self.phase_bits - 2
        m.d.comb += fine.eq((self.phase << 1 | 1) << self.guard >> 1)
        shifted = Signal(self.phase_bits)
        m.d.comb += shifted.eq(fine + (1 << (quarter_bits - 1)))
        quadrant = Signal(2, name="quadrant_0", reset_less=True)
        z = Signal(signed(self.phase_bits - 1), name="z_0", reset_less=True)
        x, y = (Signal(width, name=f"{axis}_0", reset_less=True) for axis in "xy")
        m.d.sync += [
            quadrant.eq(shifted[quarter_bits:]),
            # The remaining phase is within an eighth of a turn in either direction.
            z.eq(shifted[:quarter_bits] - (1 << (quarter_bits - 1))),
        ]
        m.d.comb += [x.eq(self.start), y.eq(0)]
        for turn, angle in enumerate(self.angles):
            right = z < 0
            after = [
                Signal.like(value, name=f"{name}_{turn + 1}", reset_less=True)
                for name, value in (("x", x), ("y", y), ("z", z), ("quadrant", quadrant))
            ]
            m.d.sync += [
                after[0].eq(Mux(right, x + (y >> turn), x - (y >> turn))),
                after[1].eq(Mux(right, y - (x >> turn), y + (x >> turn))),
                after[2].eq(Mux(right, z + angle, z - angle)),
                after[3].eq(quadrant),
            ]
            x, y, z, quadrant = after
        swapped = quadrant[0]
        results = ((self.cosine, y, x, quadrant[0] ^ quadrant[1]), (self.sine, x, y, quadrant[1]))
        for port, odd, even, negative in results:
            value = Mux(swapped, odd, even) ^ negative.replicate(width.width)
            rounded = value[: width.width].as_signed() >> self.guard
            result = Signal.like(port, name=f"{port.name}_register", reset_less=True)
            above, below = rounded >= half, rounded < -half
            m.d.sync += result.eq(Mux(above, -1, Mux(below, 0, rounded + half)))
            m.d.comb += port.eq(result)
        return m
