"""The sources of quantization loss, enabled one by one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from implicore.fixed import COORDINATE, OFFSET_FRACTION, phase_address
from implicore.program import Program

from ..checkpoint import Model
from .coded import coded_features, saturated
from .float_network import FloatNetwork, waves
from .scales import Scales

STAGES = ("coordinates", "phase", "table", "weights", "activations", "output")
"""The sources of loss, in the order in which they occur in the decoder."""


def staged_outputs(
    model: Model, program: Program, scales: list[Scales], exact: np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    """Compute the network's output while the sources of loss are enabled one by one.

    Parameters
    ----------
    model : Model
        The trained network.
    program : Program
        The program that it was compiled to.
    scales : list of Scales
    exact : float64 array, shape (points, 3)
        Coordinates before rounding.

    Yields
    ------
    str, float64 array (points, outputs)
        ``float``, then each of ``STAGES``, with the output (0 to 1 over the intensity range) that
        includes the losses up to that stage. The last output equals the golden model's.
    """
    formats = program.formats
    network = FloatNetwork(model)
    rounded = COORDINATE.quantize(exact)
    yield "float", network.activations(network.features(exact / COORDINATE.step))[-1].T
    yield "coordinates", network.activations(network.features(rounded))[-1].T
    bits = formats.table_address_bits
    phases = phase_address(program.frequencies, rounded, bits)
    yield "phase", network.activations(waves((phases + 0.5) / (1 << bits)))[-1].T
    features = coded_features(model.frequencies, formats, rounded)
    yield "table", network.activations(features)[-1].T
    for number, (layer, scale) in enumerate(zip(program.layers, scales, strict=True)):
        network.weights[number] = layer.weights * scale.accumulators[:, None] / scale.inputs
        constant = (layer.offsets * 2.0**-OFFSET_FRACTION - 0.5) * scale.outputs
        network.biases[number] = constant - scale.accumulators * (layer.weights @ scale.midpoints)
    yield "weights", network.activations(features)[-1].T
    hidden = features[:0]
    for number, (size, scale) in enumerate(zip(model.shape.layers, scales, strict=True), 1):
        inputs = np.concatenate([features[: size.features], hidden])
        values = network.weights[number - 1] @ inputs + network.biases[number - 1][:, None]
        if number < model.shape.depth:
            hidden = saturated(values, scale.outputs, formats.activation_max)
            hidden *= scale.outputs[:, None]
    yield "activations", values.T
    decoded = saturated(values, scale.outputs, formats.output_max)
    yield "output", decoded.T / formats.output_max
