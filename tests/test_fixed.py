"""Rounding, saturation and rescaling against exact rational arithmetic."""

from fractions import Fraction
from itertools import product
from math import floor

import numpy as np
import pytest

from implicore.fixed import (
    COORDINATE,
    FREQUENCY,
    FixedPoint,
    phase_address,
    requantize,
    round_half_up,
    signed_bits,
)


def test_ties_round_up():
    assert round_half_up([-1.5, -0.5, 0.5, 1.5, 2.49, -2.51]).tolist() == [-1, 0, 1, 2, 2, -3]


@pytest.mark.parametrize(
    ("low", "high", "bits"),
    [(0, 0, 1), (-1, 0, 1), (0, 1, 2), (-2, 1, 2), (-2, 2, 3), (-129, 0, 9), (0, 127, 8)],
)
def test_signed_bits(low, high, bits):
    assert signed_bits(low, high) == bits


def test_a_format_saturates_at_its_ends():
    narrow = FixedPoint(bits=4, fraction=1)
    assert (narrow.low, narrow.high, narrow.step) == (-8, 7, 0.5)
    assert narrow.quantize([-100, -4, -0.25, 0.24, 0.25, 3.5, 100]).tolist() == [
        *(-8, -8, 0, 0, 1, 7, 7)
    ]
    assert narrow.holds([-8, 7]) and not narrow.holds([8]) and not narrow.holds([-9])


def test_quantize_matches_exact_arithmetic():
    for value in np.random.default_rng(0).uniform(-2.1, 2.1, 200):
        exact = floor(Fraction(float(value)) * 2**14 + Fraction(1, 2))
        assert COORDINATE.quantize(value) == min(max(exact, -32768), 32767)


@pytest.mark.parametrize("bits", [6, 10, 12, 14])
def test_phases_drop_whole_turns(bits):
    rng = np.random.default_rng(bits)
    frequencies = rng.integers(FREQUENCY.low, FREQUENCY.high + 1, (7, 3)).astype(np.int16)
    points = rng.integers(COORDINATE.low, COORDINATE.high + 1, (9, 3)).astype(np.int16)
    points[0], frequencies[0] = COORDINATE.low, FREQUENCY.low
    phases = phase_address(frequencies, points, bits)
    assert phases.shape == (7, 9)
    for (row, b), (column, x) in product(enumerate(frequencies), enumerate(points)):
        turns = Fraction(sum(int(p) * int(q) for p, q in zip(b, x, strict=True)), 2**24)
        assert phases[row, column] == floor(turns % 1 * 2**bits)


@pytest.mark.parametrize("multiplier", [1, 3, 7])
@pytest.mark.parametrize("shift", [0, 1, 2, 3, 4, 7])
def test_requantize_exhaustively(multiplier, shift):
    """Every small sum and offset: one floor of the exact rational, then saturation."""
    sums, offsets = np.meshgrid(np.arange(-64, 64), np.arange(-40, 40))
    got = requantize(sums, np.int64(multiplier), offsets, np.int64(shift), 15)
    exact = [
        min(max(floor(Fraction(int(s) * multiplier, 2**shift) + Fraction(int(o), 8)), 0), 15)
        for s, o in zip(sums.ravel(), offsets.ravel(), strict=True)
    ]
    assert got.ravel().tolist() == exact
