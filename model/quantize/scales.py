"""The scales of a layer: what one unit of each of its integers is worth."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from implicore.errors import BadInput
from implicore.fixed import OFFSET_FRACTION, SHIFT_BITS, round_half_up
from implicore.formats import Formats

CLIPS = (1.0, 0.97, 0.93, 0.88, 0.82, 0.75, 0.67, 0.58, 0.5)
"""Saturation limits to try, as shares of a channel's largest activation or a row's largest
weight."""


@dataclass(frozen=True)
class Scales:
    """The scales of one layer.

    Attributes
    ----------
    inputs, midpoints : float64 arrays, shape (inputs,)
        Input k's value is ``inputs[k] * (integer + midpoints[k])``.
    accumulators : float64 array, shape (outputs,)
        What one unit of each accumulator is worth.
    multipliers, shifts : int64 arrays, shape (outputs,)
        The requantizer's constants, from which the scales of the results follow.
    """

    inputs: np.ndarray
    midpoints: np.ndarray
    accumulators: np.ndarray
    multipliers: np.ndarray
    shifts: np.ndarray

    @property
    def outputs(self) -> np.ndarray:
        """What one unit of each result is worth, float64 of shape (outputs,)."""
        return np.ldexp(self.accumulators, self.shifts) / self.multipliers

    def integers(self, weights: np.ndarray, formats: Formats) -> np.ndarray:
        """Round and saturate weights (outputs, inputs) to their integers."""
        top = formats.weight_max
        integers = round_half_up(weights * self.inputs / self.accumulators[:, None])
        return np.clip(integers, -top, top)

    def offsets(self, integers: np.ndarray, biases: np.ndarray) -> np.ndarray:
        """Compute the requantizer's offsets (outputs,) from integer weights and float biases."""
        constant = self.accumulators * (integers @ self.midpoints) + biases
        return round_half_up((constant / self.outputs + 0.5) * 2**OFFSET_FRACTION)

    def widened_for_offsets(
        self, integers: np.ndarray, biases: np.ndarray, formats: Formats
    ) -> Scales:
        """Double the result scales of neurons until their offsets fit."""
        scales, limit = self, 1 << (formats.offset_bits - 1)
        for _ in range(1 << SHIFT_BITS):
            over = np.abs(scales.offsets(integers, biases)) >= limit
            if not over.any():
                break
            scales = replace(scales, shifts=scales.shifts + over)
        return scales


def accumulator_scales(matrix: np.ndarray, importance: np.ndarray, top: int) -> np.ndarray:
    """Choose the scale of each row of weights with the lowest cost, including saturation.

    Parameters
    ----------
    matrix, importance : arrays, shape (outputs, inputs)
        Weights per unit of their inputs, and the variance of each input as each neuron sees it.
    top : int
        The largest integer weight.

    Returns
    -------
    float64 array, shape (outputs,)
    """
    largest = np.abs(matrix).max(axis=1)
    nonzero = largest > 0
    largest = np.where(nonzero, largest, largest[nonzero].min() if nonzero.any() else top)
    best, scales = np.full(len(matrix), np.inf), np.empty(len(matrix))
    for clip in CLIPS:
        scale = (clip * largest / top)[:, None]
        error = matrix - np.clip(np.floor(matrix / scale + 0.5), -top, top) * scale
        cost = (error**2 * importance).sum(axis=1)
        scales = np.where(cost < best, scale[:, 0], scales)
        best = np.minimum(cost, best)
    return scales


def activation_scales(activations: np.ndarray, maxima: np.ndarray, top: int) -> np.ndarray:
    """Choose the scale of each channel with the smallest saturation plus rounding error.

    Parameters
    ----------
    activations : array, shape (channels, points)
    maxima : array, shape (channels,)
        The largest activations of a larger sample.
    top : int
        The largest integer activation.

    Returns
    -------
    float64 array, shape (channels,)
    """
    maxima = np.maximum(maxima, activations.max(axis=1))
    best, scales = np.full(len(maxima), np.inf), np.empty(len(maxima))
    active = (activations > 0).mean(axis=1)
    for clip in CLIPS:
        limit = clip * maxima
        # The larger sample counts as one additional point, at its maximum.
        excess = (np.maximum(activations - limit[:, None], 0) ** 2).sum(axis=1)
        excess = (excess + (maxima - limit) ** 2) / (activations.shape[1] + 1)
        error = excess + active * (limit / top) ** 2 / 12
        scales = np.where(error < best, limit / top, scales)
        best = np.minimum(error, best)
    # A channel that is always zero may have any scale, but a large one would dominate the others.
    nonzero = maxima > 0
    return np.where(nonzero, scales, scales[nonzero].min() if nonzero.any() else 1.0)


def join(
    accumulators: np.ndarray,
    results: np.ndarray,
    weight_noise: np.ndarray,
    result_noise: np.ndarray,
    formats: Formats,
    number: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Choose the requantizer's multipliers and shifts.

    The ratio of the two scales is rounded either down, which widens the result scale, or up, which
    widens the accumulator scale, whichever adds less noise.

    Parameters
    ----------
    accumulators, results : float64 arrays, shape (outputs,)
        The wanted scales.
    weight_noise, result_noise : float64 arrays, shape (outputs,)
        Variance of the rounding errors at these scales; infinite if a scale must not change.
    formats : Formats
    number : int
        The layer's number from 1, for the message.

    Returns
    -------
    accumulators, multipliers, shifts : arrays, shape (outputs,)
        The accumulator scales, some of them widened, and the int64 constants.

    Raises
    ------
    BadInput
        If the formats cannot scale the accumulators up to the results.
    """
    ratio = accumulators / results
    top = max(1, (1 << formats.multiplier_bits) - 1)
    top_bits = top.bit_length()
    exponent = np.frexp(ratio)[1]  # ratio = mantissa * 2**exponent, mantissa in [1/2, 1)
    shifts = np.clip(top_bits - exponent, 0, (1 << SHIFT_BITS) - 1)
    scaled = np.ldexp(ratio, shifts)
    below, above = np.floor(scaled), np.ceil(scaled)
    # Rounding up past the largest multiplier gives half of it with a shift that is smaller by one.
    with np.errstate(divide="ignore", invalid="ignore"):
        cost_below = result_noise * ((scaled / below) ** 2 - 1)
        cost_above = weight_noise * ((above / scaled) ** 2 - 1)
    chosen = np.where((below >= 1) & (below <= top) & (cost_below <= cost_above), below, above)
    carry = chosen > top
    chosen = np.where(carry, (top + 1) // 2, chosen)
    shifts = shifts - carry
    if (
        (shifts < 0).any()
        or (np.ldexp(chosen, -shifts) < ratio * (1 - 1e-9)).any()
        and (np.isinf(result_noise).any())
    ):
        raise BadInput(
            f"The accumulators of layer {number} are coarser than its results, and the formats "
            f"{formats} cannot scale them up: use more multiplier bits or fewer output bits."
        )
    multipliers = np.maximum(chosen, 1).astype(np.int64)
    # Where the ratio was rounded up, the accumulators take the wider scale.
    widened = np.ldexp(multipliers, -shifts) * results
    return np.maximum(accumulators, widened), multipliers, shifts.astype(np.int64)
