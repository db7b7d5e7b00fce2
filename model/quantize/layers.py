"""Choice of scales and rounding of weights, layer by layer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from implicore.formats import Formats

from ..checkpoint import Model
from .coded import coded_features, saturated
from .float_network import FloatNetwork
from .rounding import FittedWeights
from .scales import Scales, accumulator_scales, activation_scales, join


def quantize(
    model: Model, formats: Formats, coordinates: np.ndarray, wide: np.ndarray | None = None
) -> tuple[Model, list[Scales]]:
    """Choose every layer's scales and round its weights.

    In each layer the weights are first refitted by least squares, so that the rounded inputs give
    the trained network's accumulators, and then rounded. Errors are measured at the output: each
    neuron has a separate Hessian, see ``rounding.FLOOR``.

    Parameters
    ----------
    model : Model
    formats : Formats
    coordinates : integer array, shape (points, 3)
        A sample of a few thousand coordinates of the image.
    wide : integer array, shape (points, 3), optional
        A larger sample, from which the largest activations are taken as well: in wide formats a
        single voxel beyond the range would cost more than all rounding.

    Returns
    -------
    Model
        The same network, with weights that are integer multiples of their scales.
    list of Scales
        The scales of each layer.

    Raises
    ------
    BadInput
        If the formats cannot scale the accumulators of the output layer.
    """
    network = FloatNetwork(model)
    features = network.features(coordinates)
    trained = network.activations(features)
    sensitivities = network.sensitivities(trained)
    maxima = _maxima(model, coordinates if wide is None else wide)
    coded = coded_features(model.frequencies, formats, coordinates)
    before, hidden = features[:0], coded[:0]  # the trained and the rounded network's activations
    hidden_scales = np.empty(0)
    layers, weights, biases = [], [], []
    for number, size in enumerate(model.shape.layers):
        last = number + 1 == model.shape.depth
        inputs = np.concatenate([coded[: size.features], hidden])
        exact = np.concatenate([features[: size.features], before])
        wanted = network.weights[number] @ exact + network.biases[number][:, None]
        feature_scales = np.full(size.features, 2.0 ** (1 - formats.activation_bits))
        input_scales = np.concatenate([feature_scales, hidden_scales])
        midpoints = np.zeros(size.inputs)
        midpoints[: size.features] = 0.5 - 2.0 ** (formats.activation_bits - 1)

        # From here on, inputs are counted in units and weights are values per unit.
        matrix = network.weights[number] * input_scales
        fitted = FittedWeights.fit(
            matrix, inputs / input_scales[:, None], wanted, sensitivities[number]
        )

        accumulators = accumulator_scales(fitted.matrix, fitted.importance, formats.weight_max)
        if last:
            results = np.full(size.outputs, 1.0 / formats.output_max)
            result_noise = np.full(size.outputs, np.inf)
        else:
            results = activation_scales(trained[number], maxima[number], formats.activation_max)
            # A small activation need not be finer than the accumulator that it comes from.
            results = np.maximum(results, accumulators)
            result_noise = results**2 / 12
        weight_noise = accumulators**2 / 12 * fitted.importance.sum(axis=1)
        joined = join(accumulators, results, weight_noise, result_noise, formats, number + 1)
        scales = Scales(input_scales, midpoints, *joined)

        integers = fitted.rounded(scales.accumulators, formats.weight_max)
        matrix = integers * scales.accumulators[:, None]
        weights.append(matrix / input_scales)
        biases.append(fitted.targets - (matrix * fitted.means).sum(axis=1))
        if not last:
            scales = scales.widened_for_offsets(integers, biases[-1], formats)
        layers.append(scales)
        hidden_scales = scales.outputs
        values = weights[-1] @ inputs + biases[-1][:, None]
        hidden = saturated(values, hidden_scales, formats.activation_max) * hidden_scales[:, None]
        before = trained[number]
    rounded = replace(
        model,
        weights=tuple(w.astype(np.float32) for w in weights),
        biases=tuple(b.astype(np.float32) for b in biases),
    )
    return rounded, layers


def _maxima(model: Model, coordinates: np.ndarray) -> list[np.ndarray]:
    """Compute the largest result (outputs,) of every neuron, by layer."""
    network = FloatNetwork(model, np.float32)
    blocks = np.array_split(coordinates, max(1, len(coordinates) // 4096))
    block_maxima = [
        [results.max(axis=1) for results in network.activations(network.features(block))]
        for block in blocks
    ]
    return [np.max(layer, axis=0) for layer in zip(*block_maxima, strict=True)]
