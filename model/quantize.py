"""Compiling: a trained network becomes the integers of a program.

Every unit is chosen per channel. Hidden activations may have a unit of their own each, since the
next layer's weights absorb it; a row of weights then has the unit that its largest weight needs,
and the requantizer joins the two by a multiplier and a shift. What the multiplier cannot express
is taken up by whichever of the two units it costs least to widen.

    z = sum_k W_k x_k + b            a neuron of the trained network, x_k = unit_k (a_k + d_k)
      = s sum_k w_k (a_k + d_k) + b  with integers w_k = W_k unit_k / s; d_k is the midpoint of a
                                     feature, 1/2 - 2**(N-1), and 0 for a hidden activation
    y = z / u                        the result in its own unit
      = (sum_k w_k a_k) M / 2**S + (s sum_k w_k d_k + b) / u,   M / 2**S = s / u
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from implicore.errors import BadInput
from implicore.fixed import (
    COORDINATE,
    OFFSET_FRACTION,
    PHASE_FRACTION,
    SHIFT_BITS,
    phase_address,
    round_half_up,
)
from implicore.formats import Formats
from implicore.program import Layer, Program
from implicore.sincos import SineTable

from .checkpoint import Model

FLOOR = 0.3
"""Share of a neuron's statistics in which all points count alike; in the rest they count by the
square of what the neuron's sum does to the voxel there, which is nothing where it is switched
off. Halves the loss of 8-bit weights."""

DAMPING = 1e-3
"""Share of the mean variance of a layer's inputs that is added to each one's own."""

CLIPS = (1.0, 0.97, 0.93, 0.88, 0.82, 0.75, 0.67, 0.58, 0.5)
"""Shares of a channel's greatest activation, or a row's greatest weight, tried as saturation."""


@dataclass(frozen=True)
class Scales:
    """The units of one layer.

    Attributes
    ----------
    inputs, midpoints : float64 arrays, shape (inputs,)
        Input k's value is ``inputs[k] * (integer + midpoints[k])``.
    accumulators : float64 array, shape (outputs,)
        The accumulator scales: what one unit of each accumulator is worth.
    multipliers, shifts : int64 arrays, shape (outputs,)
        The results' unit is ``accumulators * 2**shifts / multipliers``.
    """

    inputs: np.ndarray
    midpoints: np.ndarray
    accumulators: np.ndarray
    multipliers: np.ndarray
    shifts: np.ndarray

    @property
    def outputs(self) -> np.ndarray:
        """The value of one unit of each result, float64 of shape (outputs,)."""
        return np.ldexp(self.accumulators, self.shifts) / self.multipliers


class FloatNetwork:
    """A trained network in numpy that shows what each layer is fed.

    Parameters
    ----------
    model : Model
    dtype : numpy float type
        Of everything behind the phases, which are exact.
    """

    def __init__(self, model: Model, dtype=np.float64):
        self.shape, self.dtype = model.shape, dtype
        self.frequencies = model.frequencies
        self.weights = [weight.astype(dtype) for weight in model.weights]
        self.biases = [bias.astype(dtype) for bias in model.biases]

    def features(self, coordinates: np.ndarray) -> np.ndarray:
        """Features (2 L, points) of coordinates (points, 3) in ``COORDINATE`` units or between."""
        turns = self.frequencies.astype(np.float64) @ coordinates.T.astype(np.float64)
        return waves(turns * 2.0**-PHASE_FRACTION, self.dtype)

    def activations(self, features: np.ndarray) -> list[np.ndarray]:
        """Results (outputs, points) of every layer, the last one linear."""
        results, hidden = [], features[:0]
        for number, size in enumerate(self.shape.layers):
            inputs = np.concatenate([features[: size.features], hidden])
            hidden = self.weights[number] @ inputs + self.biases[number][:, None]
            if number + 1 < self.shape.depth:
                np.maximum(hidden, 0, out=hidden)
            results.append(hidden)
        return results

    def slopes(self, results: list[np.ndarray]) -> list[np.ndarray]:
        """Derivatives of the output by every accumulator, from the results of ``activations``."""
        slopes = [np.ones_like(results[-1])]
        for number in range(self.shape.depth - 1, 0, -1):
            hidden = self.weights[number][:, self.shape.layers[number].features :]
            slopes.insert(0, (hidden.T @ slopes[0]) * (results[number - 1] > 0))
        return slopes


def waves(turns: np.ndarray, dtype=np.float64) -> np.ndarray:
    """Cosines, then sines, of phases in turns: (L, points) to (2 L, points)."""
    angle = (2 * np.pi * (turns - np.floor(turns))).astype(dtype)
    return np.concatenate([np.cos(angle), np.sin(angle)])


def quantize(
    model: Model, formats: Formats, coordinates: np.ndarray, wide: np.ndarray | None = None
) -> tuple[Model, list[Scales]]:
    """Choose every layer's units and round its weights.

    Layer after layer, the weights are first fitted anew, by least squares, so that the rounded
    inputs give the trained network's accumulators, and then rounded one input after the other while
    the later ones make up for the error (OPTQ: Frantar et al., ICLR 2023), as seen by the output:
    each neuron has a Hessian of its own, see ``FLOOR``.

    Parameters
    ----------
    model : Model
    formats : Formats
    coordinates : integer array, shape (points, 3)
        A sample of the image's own coordinates, some thousands.
    wide : integer array, shape (points, 3), optional
        A larger sample, from which the greatest activations are taken as well: in wide formats
        the rare voxel beyond the range would cost more than all rounding.

    Returns
    -------
    Model
        The same network with weights that are whole multiples of their units.
    list of Scales
        The units of each layer.
    """
    network = FloatNetwork(model)
    features = network.features(coordinates)
    trained = network.activations(features)
    slopes = network.slopes(trained)
    greatest = _greatest(model, coordinates if wide is None else wide)
    coded = _coded_features(model, formats, coordinates)
    before, hidden = features[:0], coded[:0]  # the trained and the rounded network's activations
    units = np.empty(0)
    layers, weights, biases = [], [], []
    for number, size in enumerate(model.shape.layers):
        last = number + 1 == model.shape.depth
        inputs = np.concatenate([coded[: size.features], hidden])
        exact = np.concatenate([features[: size.features], before])
        wanted = network.weights[number] @ exact + network.biases[number][:, None]
        feature_units = np.full(size.features, 2.0 ** (1 - formats.activation_bits))
        input_units = np.concatenate([feature_units, units])
        midpoints = np.zeros(size.inputs)
        midpoints[: size.features] = 0.5 - 2.0 ** (formats.activation_bits - 1)

        # From here on inputs are counted in their units and weights are values of one unit.
        matrix = network.weights[number] * input_units
        fit = _Fit.of(matrix, inputs / input_units[:, None], wanted, slopes[number])

        top = formats.weight_max
        accumulator_scales = _weight_units(fit.matrix, fit.importance, top)
        if last:
            result_units = np.full(size.outputs, 1.0 / formats.output_max)
            result_noise = np.full(size.outputs, np.inf)
        else:
            result_units = _activation_units(
                trained[number], greatest[number], formats.activation_max
            )
            # A faint activation need not be finer than the sum it comes from.
            result_units = np.maximum(result_units, accumulator_scales)
            result_noise = result_units**2 / 12
        weight_noise = accumulator_scales**2 / 12 * fit.importance.sum(axis=1)
        joined = _join(
            accumulator_scales, result_units, weight_noise, result_noise, formats, number + 1
        )
        scales = Scales(input_units, midpoints, *joined)

        integers = _round_weights(fit.matrix / scales.accumulators[:, None], fit.hessians, top)
        matrix = integers * scales.accumulators[:, None]
        weights.append(matrix / input_units)
        biases.append(fit.targets - (matrix * fit.means).sum(axis=1))
        if not last:
            scales = _widen_for_offsets(scales, integers, biases[-1], formats)
        layers.append(scales)
        units = scales.outputs
        values = weights[-1] @ inputs + biases[-1][:, None]
        hidden = _saturated(values, units, formats.activation_max) * units[:, None]
        before = trained[number]
    rounded = replace(
        model,
        weights=tuple(w.astype(np.float32) for w in weights),
        biases=tuple(b.astype(np.float32) for b in biases),
    )
    return rounded, layers


@dataclass(frozen=True)
class _Fit:
    """Weights fitted to rounded inputs, and what rounding them costs, a row a neuron.

    Attributes
    ----------
    matrix : float64 array, shape (outputs, inputs)
        The weights that come closest to the wanted accumulators.
    hessians : float64 array, shape (outputs, inputs, inputs)
        Covariances of the inputs, weighted for each neuron.
    means, targets : float64 arrays, shapes (outputs, inputs) and (outputs,)
        Weighted means of the inputs and of the wanted accumulators, from which the bias follows.
    """

    matrix: np.ndarray
    hessians: np.ndarray
    means: np.ndarray
    targets: np.ndarray

    @classmethod
    def of(cls, matrix, inputs, wanted, slopes) -> _Fit:
        """Fit ``matrix`` (outputs, inputs) so that ``matrix @ inputs`` (inputs, points) + bias is
        near ``wanted`` (outputs, points), where the ``slopes`` (outputs, points) are steep.
        """  # noqa: D205
        # Most of compiling's time is spent on these products: float32, and the form X X^T, which
        # numpy computes by half.
        middle = inputs.mean(axis=1)
        centred = (inputs - middle[:, None]).astype(np.float32)
        rows, hessians, means, targets = [], [], [], []
        for row, goal, slope in zip(matrix, wanted, slopes, strict=True):
            weight = slope**2 / max((slope**2).sum(), 1e-30)
            weight = ((1 - FLOOR) * weight + FLOOR / len(weight)).astype(np.float32)
            root = centred * np.sqrt(weight)
            mean, target = centred @ weight, goal @ weight
            missing = (goal - target).astype(np.float32) - row.astype(np.float32) @ centred
            hessian = (root @ root.T).astype(np.float64) - np.outer(mean, mean)
            hessian[np.diag_indices_from(hessian)] += DAMPING * max(np.diag(hessian).mean(), 1e-9)
            missing *= weight
            rows.append(row + np.linalg.solve(hessian, centred @ missing - mean * missing.sum()))
            hessians.append(hessian)
            means.append(mean + middle)
            targets.append(target)
        return cls(*map(np.stack, (rows, hessians, means, targets)))

    @property
    def importance(self) -> np.ndarray:
        """Variance of each input as each neuron sees it, shape (outputs, inputs)."""
        return np.diagonal(self.hessians, axis1=1, axis2=2)


def _coded_features(model: Model, formats: Formats, coordinates: np.ndarray) -> np.ndarray:
    """Values (2 L, points) of the integers that the sine table gives."""
    bits = formats.table_address_bits
    phases = phase_address(model.frequencies, coordinates, bits)
    table = SineTable(bits, formats.activation_bits)
    codes = np.concatenate([table.cosines[phases], table.sines[phases]])
    return (2.0 * codes + 1) / (1 << formats.activation_bits) - 1


def _saturated(values: np.ndarray, units: np.ndarray, high: int) -> np.ndarray:
    """Results (neurons, points) as integers in their units, as a requantizer gives them.

    Exact results are multiples of a power of two: the millionth lifts those that the floating
    point has left just below a tie.
    """
    return np.clip(np.floor(values / units[:, None] + (0.5 + 1e-6)), 0, high)


def _weight_units(matrix: np.ndarray, importance: np.ndarray, top: int) -> np.ndarray:
    """Units of the rows of a matrix that cost least, saturation of large weights included."""
    largest = np.abs(matrix).max(axis=1)
    busy = largest > 0
    largest = np.where(busy, largest, largest[busy].min() if busy.any() else top)
    best, units = np.full(len(matrix), np.inf), np.empty(len(matrix))
    for clip in CLIPS:
        unit = (clip * largest / top)[:, None]
        error = matrix - np.clip(np.floor(matrix / unit + 0.5), -top, top) * unit
        cost = (error**2 * importance).sum(axis=1)
        units = np.where(cost < best, unit[:, 0], units)
        best = np.minimum(cost, best)
    return units


def _round_weights(matrix: np.ndarray, hessians: np.ndarray, top: int) -> np.ndarray:
    """Integers (outputs, inputs) near ``matrix`` that keep the accumulators, see ``quantize``."""
    importance = np.diagonal(hessians, axis1=1, axis2=2).mean(axis=0)
    order = np.argsort(-importance, kind="stable")  # the weightiest inputs first
    inverse = np.linalg.inv(hessians[:, order][:, :, order])
    upper = np.linalg.cholesky((inverse + inverse.mT) / 2).mT
    rest, integers = matrix[:, order], np.empty_like(matrix)
    for place, column in enumerate(order):
        integers[:, column] = np.clip(np.floor(rest[:, place] + 0.5), -top, top)
        error = (rest[:, place] - integers[:, column]) / upper[:, place, place]
        rest[:, place + 1 :] -= error[:, None] * upper[:, place, place + 1 :]
    return integers


def _greatest(model: Model, coordinates: np.ndarray) -> list[np.ndarray]:
    """The greatest result of every neuron of every layer."""
    network = FloatNetwork(model, np.float32)
    blocks = np.array_split(coordinates, max(1, len(coordinates) // 4096))
    tops = [
        [results.max(axis=1) for results in network.activations(network.features(block))]
        for block in blocks
    ]
    return [np.max(layer, axis=0) for layer in zip(*tops, strict=True)]


def _activation_units(activations: np.ndarray, greatest: np.ndarray, high: int) -> np.ndarray:
    """Units (channels,) of activations (channels, points): least saturation plus rounding error."""
    greatest = np.maximum(greatest, activations.max(axis=1))
    best, units = np.full(len(greatest), np.inf), np.empty(len(greatest))
    busy = (activations > 0).mean(axis=1)
    for clip in CLIPS:
        top = clip * greatest
        # One voxel more than the sample's, as far out as any.
        excess = (np.maximum(activations - top[:, None], 0) ** 2).sum(axis=1)
        excess = (excess + (greatest - top) ** 2) / (activations.shape[1] + 1)
        error = excess + busy * (top / high) ** 2 / 12
        units = np.where(error < best, top / high, units)
        best = np.minimum(error, best)
    # A channel that is always zero needs no unit, but a large one would outweigh its neighbours.
    alive = greatest > 0
    return np.where(alive, units, units[alive].min() if alive.any() else 1.0)


def _join(accumulator_scales, wanted, weight_noise, result_noise, formats: Formats, number: int):
    """Multipliers and shifts near ``accumulator_scales / wanted``, and the widened scales.

    The ratio is rounded down, which widens the results' units, or up, which widens the
    accumulators',    whichever adds less noise.
    """
    ratio = accumulator_scales / wanted
    top = max(1, (1 << formats.multiplier_bits) - 1)
    most = top.bit_length()
    exponent = np.frexp(ratio)[1]  # ratio = mantissa * 2**exponent, mantissa in [1/2, 1)
    shifts = np.clip(most - exponent, 0, (1 << SHIFT_BITS) - 1)
    scaled = np.ldexp(ratio, shifts)
    below, above = np.floor(scaled), np.ceil(scaled)
    # Rounding up past the widest multiplier is the half of it, shifted one less.
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
    # Where the ratio was rounded up the accumulators take the wider scale.
    widened = np.ldexp(multipliers, -shifts) * wanted
    return np.maximum(accumulator_scales, widened), multipliers, shifts.astype(np.int64)


def _widen_for_offsets(scales: Scales, integers, biases, formats: Formats) -> Scales:
    """Double the results' units of neurons whose offset would not fit otherwise."""
    limit = 1 << (formats.offset_bits - 1)
    for _ in range(1 << SHIFT_BITS):
        over = np.abs(_offsets(scales, integers, biases)) >= limit
        if not over.any():
            break
        scales = replace(scales, shifts=scales.shifts + over)
    return scales


def _integers(scales: Scales, weights: np.ndarray, formats: Formats) -> np.ndarray:
    top = formats.weight_max
    integers = round_half_up(weights * scales.inputs / scales.accumulators[:, None])
    return np.clip(integers, -top, top)


def _offsets(scales: Scales, integers: np.ndarray, biases: np.ndarray) -> np.ndarray:
    constant = scales.accumulators * (integers @ scales.midpoints) + biases
    return round_half_up((constant / scales.outputs + 0.5) * 2**OFFSET_FRACTION)


def assemble(model: Model, formats: Formats, scales: list[Scales]) -> Program:
    """The program of a model whose units are chosen; BadInput if the formats cannot hold it."""
    layers = []
    for number, (unit, weights, biases) in enumerate(
        zip(scales, model.weights, model.biases, strict=True), 1
    ):
        weights, biases = weights.astype(np.float64), biases.astype(np.float64)
        integers = _integers(unit, weights, formats)
        offsets = _offsets(unit, integers, biases)
        limit = 1 << (formats.offset_bits - 1)
        if number == model.shape.depth and not (-limit <= offsets[0] < limit):
            raise BadInput(
                f"The bias of the last layer is {offsets[0] / limit:.1f} times what the formats "
                f"{formats} can hold: use more output bits."
            )
        layers.append(Layer(integers.astype(np.int16), unit.multipliers, offsets, unit.shifts))
    return Program(
        shape=model.shape,
        formats=formats,
        frequencies=model.frequencies.astype(np.int16),
        layers=tuple(layers),
        frame=model.frame,
        grid=model.grids[0],
        intensity=model.intensity,
    )


STAGES = ("coordinates", "phase", "table", "weights", "activations", "output")


def staged_outputs(model: Model, program: Program, scales: list[Scales], exact: np.ndarray):
    """What the network gives as one source of loss after the other is switched on.

    Parameters
    ----------
    exact : float64 array, shape (points, 3)
        Coordinates before rounding.

    Yields
    ------
    str, float64 array (points,)
        ``float``, then each of ``STAGES``, with the outputs (0 to 1 over the intensity range)
        after it. The last is what the golden model decodes.
    """
    formats = program.formats
    network = FloatNetwork(model)
    rounded = COORDINATE.quantize(exact)
    yield "float", network.activations(network.features(exact / COORDINATE.step))[-1][0]
    yield "coordinates", network.activations(network.features(rounded))[-1][0]
    bits = formats.table_address_bits
    phases = phase_address(program.frequencies, rounded, bits)
    yield "phase", network.activations(waves((phases + 0.5) / (1 << bits)))[-1][0]
    features = _coded_features(model, formats, rounded)
    yield "table", network.activations(features)[-1][0]
    for number, (layer, unit) in enumerate(zip(program.layers, scales, strict=True)):
        network.weights[number] = layer.weights * unit.accumulators[:, None] / unit.inputs
        constant = (layer.offsets * 2.0**-OFFSET_FRACTION - 0.5) * unit.outputs
        network.biases[number] = constant - unit.accumulators * (layer.weights @ unit.midpoints)
    yield "weights", network.activations(features)[-1][0]
    hidden = features[:0]
    for number, (size, unit) in enumerate(zip(model.shape.layers, scales, strict=True), 1):
        inputs = np.concatenate([features[: size.features], hidden])
        values = network.weights[number - 1] @ inputs + network.biases[number - 1][:, None]
        if number < model.shape.depth:
            hidden = _saturated(values, unit.outputs, formats.activation_max)
            hidden *= unit.outputs[:, None]
    yield "activations", values[0]
    decoded = _saturated(values, unit.outputs, formats.output_max)
    yield "output", decoded[0] / formats.output_max
