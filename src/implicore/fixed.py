"""Fixed-point numbers: the project's only definition of rounding, saturation and rescaling.

A real number is converted to an integer by *rounding half up*, ``floor(x + 1/2)``. Hardware only
*truncates*, by an arithmetic right shift, which rounds towards minus infinity. Where hardware must
round, half a unit is added to a constant beforehand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


def round_half_up(value: ArrayLike) -> np.ndarray:
    """Return the nearest integers as int64, ties towards plus infinity."""
    return np.floor(np.asarray(value, dtype=np.float64) + 0.5).astype(np.int64)


def signed_bits(low: int, high: int) -> int:
    """Return the width of the narrowest two's complement integer that holds both values."""
    return (
        max((~low if low < 0 else low).bit_length(), (~high if high < 0 else high).bit_length()) + 1
    )


@dataclass(frozen=True)
class FixedPoint:
    """A signed fixed-point format of ``bits`` bits, ``fraction`` of them after the point."""

    bits: int
    fraction: int

    @property
    def step(self) -> float:
        """Value of one unit in the last place."""
        return 2.0**-self.fraction

    @property
    def low(self) -> int:
        """Smallest integer."""
        return -(1 << (self.bits - 1))

    @property
    def high(self) -> int:
        """Largest integer."""
        return (1 << (self.bits - 1)) - 1

    def quantize(self, value: ArrayLike) -> np.ndarray:
        """Convert real numbers to integers, int64, rounded half up and saturated."""
        scaled = np.asarray(value, dtype=np.float64) / self.step
        return round_half_up(np.clip(scaled, self.low, self.high))

    def holds(self, integers: ArrayLike) -> bool:
        """Return whether every integer lies within the format."""
        array = np.asarray(integers)
        return bool(((array >= self.low) & (array <= self.high)).all())


COORDINATE = FixedPoint(bits=16, fraction=14)
"""A network coordinate, -2 to 2. The image fills (-1, 1); oblique planes may extend beyond it."""

FREQUENCY = FixedPoint(bits=16, fraction=10)
"""A coefficient of B, in turns per unit of coordinate, -32 to 32."""

GRID_GUARD = 24
"""Extra fraction bits of grid origins and step vectors, beyond those of ``COORDINATE``."""

PHASE_FRACTION = COORDINATE.fraction + FREQUENCY.fraction
"""Fraction bits of a phase in turns; its integer bits are dropped."""

OFFSET_FRACTION = 3
"""Fraction bits of a requantizer's offset, which counts eighths of a unit of the result."""

SHIFT_BITS = 6
"""Bits of a requantizer's shift, 0 to 63."""


def phase_address(frequencies: np.ndarray, coordinates: np.ndarray, bits: int) -> np.ndarray:
    """Return the phase of every frequency at every point, modulo one turn.

    Parameters
    ----------
    frequencies : integer array, shape (L, 3)
        B in ``FREQUENCY`` units.
    coordinates : integer array, shape (points, 3)
        In ``COORDINATE`` units.
    bits : int
        Address bits of the sine table; lower phase bits are truncated.

    Returns
    -------
    uint32 array, shape (L, points)
        In units of ``2**-bits`` turns, 0 to ``2**bits - 1``.
    """
    # Only the fraction matters, so products and sums may wrap at 32 bits.
    frequencies = np.asarray(frequencies).astype(np.uint32)
    coordinates = np.asarray(coordinates).astype(np.uint32)
    turns = frequencies[:, 0, None] * coordinates[:, 0]
    for axis in (1, 2):
        turns += frequencies[:, axis, None] * coordinates[:, axis]
    turns >>= PHASE_FRACTION - bits
    turns &= (1 << bits) - 1
    return turns


def requantize(
    accumulators: np.ndarray,
    multiplier: np.ndarray,
    offset: np.ndarray,
    shift: np.ndarray,
    high: int,
) -> np.ndarray:
    """Rescale accumulators to integers from 0 to ``high``.

    The result is ``(((accumulator * multiplier << 3) >> shift) + offset) >> 3``, saturated, where
    3 is ``OFFSET_FRACTION``. Adding the offset after the shift keeps the adder narrow and loses
    nothing: for a shift of at least 3, this equals
    ``(accumulator * multiplier + (offset << (shift - 3))) >> shift``.

    The offset contains the bias, the half that turns truncation into rounding, and the correction
    for the features' midpoint. Saturation at 0 is the ReLU of a hidden layer and the darkest
    voxel of the output layer.

    Parameters
    ----------
    accumulators, multiplier, offset, shift : int64 arrays
        Broadcast together.
    high : int
        Largest result.
    """
    scaled = ((accumulators * multiplier) << OFFSET_FRACTION) >> shift
    return np.clip((scaled + offset) >> OFFSET_FRACTION, 0, high)
