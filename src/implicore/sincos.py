"""Sine and cosine of a phase in turns, as integers: contents and lookup of the table.

The golden model reads a ``SineTable`` with numpy; the hardware stores its contents in ROMs. Two
midpoint conventions keep the table small. A phase ``p`` of A bits represents the middle of its
interval, ``(p + 1/2) / 2**A`` turns, so mirroring a quadrant is a bitwise NOT of the address. An
output ``u`` of N bits represents the middle of its interval, ``(2 u + 1) / 2**N - 1``, so negation
is a bitwise NOT of the output. There is no negating adder and no special case at 0 or 90 degrees.

With 12 or more address bits, two smaller tables and an adder replace the quarter-wave table. This
is the bipartite method (Das Sarma and Matula 1995) in the symmetric form of Schulte and Stine
(1999): ``base`` holds the sine in the middle of a short span, ``slope`` the difference to each
point of the span.

    quarter address r:  | n0 bits | n1 bits | n2 bits |      base  = f(n0, n1)
                                                             slope = f(n0, n2)
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from .arguments import require_integer
from .fixed import round_half_up

BIPARTITE_FROM = 12
"""Smallest number of address bits for which the table is split in two."""

GUARD = 2
"""Extra fraction bits of the split tables, so that their sum errs by less than one unit."""


class SineTable:
    """A sine table of ``2**address_bits`` phases with unsigned outputs of ``output_bits``.

    Parameters
    ----------
    address_bits : int
        A: a turn has ``2**A`` phases. 6 to 14.
    output_bits : int
        N, 4 to 16. Outputs are unsigned; the midpoint ``2**(N-1) - 1/2`` represents zero.

    Attributes
    ----------
    base : int64 array
        Below 12 address bits, the magnitudes of the quarter wave. Otherwise, sums of ``base`` and
        ``slope`` are magnitudes with ``GUARD`` fraction bits.
    slope : int64 array, shape (2**n0, 2**(n2 - 1)), or None
        Differences from the middle of a span. They are added in the span's upper half; in its
        lower half they are subtracted, with the position mirrored. None below 12 address bits.
    """

    def __init__(self, address_bits: int, output_bits: int):
        require_integer("SineTable", "address_bits", address_bits, 6, 14)
        require_integer("SineTable", "output_bits", output_bits, 4, 16)
        self.address_bits = address_bits
        self.output_bits = output_bits
        quarter = 1 << (address_bits - 2)
        amplitude = 1 << (output_bits - 1)
        if address_bits < BIPARTITE_FROM:
            sine = np.sin(np.pi / 2 * (np.arange(quarter) + 0.5) / quarter)
            self.base = np.floor(amplitude * sine).astype(np.int64)
            self.slope = None
            return
        n0, n1, n2 = self.split
        amplitude <<= GUARD
        first = (np.arange(1 << (n0 + n1)) << n2) + 0.5
        last = first + (1 << n2) - 1
        ends = np.sin(np.pi / 2 * first / quarter) + np.sin(np.pi / 2 * last / quarter)
        self.base = round_half_up(amplitude * ends / 2)
        middle = (np.arange(1 << n0) + 0.5) / (1 << n0)
        steepness = amplitude * np.pi / 2 * np.cos(np.pi / 2 * middle) / quarter
        distance = np.arange(1 << (n2 - 1)) + 0.5
        self.slope = round_half_up(steepness[:, None] * distance)
        # Near the peak the sum could round up to the full amplitude. The base is limited so that
        # the hardware needs no saturation.
        highest = amplitude - 1 - self.slope.max(axis=1).repeat(1 << n1)
        self.base = np.minimum(self.base, highest)

    @property
    def split(self) -> tuple[int, int, int]:
        """The widths n0, n1, n2 of a quarter address. n2 is 0 if there is only one table."""
        quarter_bits = self.address_bits - 2
        if self.address_bits < BIPARTITE_FROM:
            return 0, quarter_bits, 0
        n0 = (self.output_bits + 2) // 3
        high = min(quarter_bits - 1, max(n0, self.output_bits - n0))
        return n0, high - n0, quarter_bits - high

    @property
    def storage_bits(self) -> int:
        """Bits of all tables."""
        if self.slope is None:
            return self.base.size * (self.output_bits - 1)
        base_bits = self.output_bits - 1 + GUARD
        return self.base.size * base_bits + self.slope.size * self.slope_bits

    @property
    def slope_bits(self) -> int:
        """Width of an entry of ``slope``."""
        return 0 if self.slope is None else int(self.slope.max()).bit_length()

    @cached_property
    def magnitudes(self) -> np.ndarray:
        """The quarter wave as the hardware reads it, int64 of shape (2**(address_bits - 2),)."""
        if self.slope is None:
            return self.base
        n0, n1, n2 = self.split
        address = np.arange(1 << (n0 + n1 + n2))
        half = 1 << (n2 - 1)
        upper = (address & half) != 0
        position = np.where(upper, address, ~address) & (half - 1)
        distance = self.slope[address >> (n1 + n2), position]
        total = self.base[address >> n2] + np.where(upper, distance, -distance)
        return total >> GUARD

    @cached_property
    def sines(self) -> np.ndarray:
        """The sine of every phase, int64 of shape (2**address_bits,)."""
        rising = (1 << (self.output_bits - 1)) + self.magnitudes
        half_wave = np.concatenate([rising, rising[::-1]])
        return np.concatenate([half_wave, ~half_wave & ((1 << self.output_bits) - 1)])

    @cached_property
    def cosines(self) -> np.ndarray:
        """The cosine of every phase: the sine a quarter turn ahead."""
        return np.roll(self.sines, -(1 << (self.address_bits - 2)))
