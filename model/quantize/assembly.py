"""Assembly of a program from a quantized network."""

from __future__ import annotations

import numpy as np

from implicore.errors import BadInput
from implicore.formats import Formats
from implicore.program import Layer, Program

from ..checkpoint import Model
from .scales import Scales


def assemble(model: Model, formats: Formats, scales: list[Scales]) -> Program:
    """Make the program of a quantized model.

    Parameters
    ----------
    model : Model
        The model; its weights are rounded to the nearest multiple of their scales.
    formats : Formats
    scales : list of Scales
        As ``quantize`` returned them.

    Raises
    ------
    BadInput
        If the formats cannot hold an accumulator or the biases of the output layer.
    """
    layers = []
    for number, (layer, weights, biases) in enumerate(
        zip(scales, model.weights, model.biases, strict=True), 1
    ):
        weights, biases = weights.astype(np.float64), biases.astype(np.float64)
        integers = layer.integers(weights, formats)
        offsets = layer.offsets(integers, biases)
        limit = 1 << (formats.offset_bits - 1)
        largest = offsets[np.abs(offsets).argmax()]
        if number == model.shape.depth and not (-limit <= largest < limit):
            raise BadInput(
                f"A bias of the last layer is {largest / limit:.1f} times the limit of the "
                f"formats {formats}: use more output bits."
            )
        layers.append(Layer(integers.astype(np.int16), layer.multipliers, offsets, layer.shifts))
    return Program(
        shape=model.shape,
        formats=formats,
        frequencies=model.frequencies.astype(np.int16),
        layers=tuple(layers),
        frame=model.frame,
        grid=model.grids[0],
        intensity=model.intensity,
        patch=model.patch,
    )
