"""Random programs of any shape and formats, for tests of hardware and simulators."""

import numpy as np

from .fixed import FREQUENCY, OFFSET_FRACTION, requantize, round_half_up
from .formats import Formats
from .grid import Frame, Grid
from .network_shape import NetworkShape
from .patch import Lattice, Patch
from .program import Intensity, Layer, Program


def random_program(
    shape: NetworkShape,
    formats: Formats,
    *,
    seed: int = 0,
    weights: str = "random",
    patch: Patch | None = None,
) -> Program:
    """Draw a valid program whose activations cover their whole range.

    Parameters
    ----------
    shape : NetworkShape
    formats : Formats
    seed : int
    weights : str
        ``random``, or the value of all weights: ``max``, ``min`` or ``zero``.
    patch : tuple of 3 ints, optional
        A row of all outputs along the first index axis by default.
    """
    rng = np.random.default_rng(seed)
    top = formats.weight_max
    # A few random activation vectors pass through the layers as they are drawn, and each
    # requantizer is centred on the accumulators that result. Otherwise deep networks are constant.
    features = rng.integers(0, formats.activation_max + 1, (shape.features, 32))
    layers, hidden = [], np.empty((0, 32), np.int64)
    for number, size in enumerate(shape.layers, 1):
        matrix = {
            "random": rng.integers(-top - 1, top + 1, (size.outputs, size.inputs)),
            "max": np.full((size.outputs, size.inputs), top),
            "min": np.full((size.outputs, size.inputs), -top - 1),
            "zero": np.zeros((size.outputs, size.inputs), int),
        }[weights]
        accumulators = matrix @ np.concatenate([features[: size.features], hidden[: size.hidden]])
        high = formats.output_max if number == shape.depth else formats.activation_max
        multipliers = rng.integers(1, 1 << max(1, formats.multiplier_bits), size.outputs)
        spread = np.maximum(accumulators.std(axis=1), 1) * multipliers * 4 / high
        shifts = np.clip(np.round(np.log2(spread)).astype(int), 0, 63)
        limit = 1 << (formats.offset_bits - 1)
        middle = high * rng.uniform(0.2, 0.6, size.outputs) - accumulators.mean(axis=1) * np.ldexp(
            multipliers.astype(float), -shifts
        )
        offsets = np.clip(round_half_up(middle * 2**OFFSET_FRACTION), -limit, limit - 1)
        layers.append(Layer(matrix.astype(np.int16), multipliers, offsets, shifts))
        hidden = requantize(
            accumulators, multipliers[:, None], offsets[:, None], shifts[:, None], high
        )
    frequencies = rng.integers(FREQUENCY.low, FREQUENCY.high + 1, (shape.frequencies, 3))
    angle = rng.uniform(0, 1)
    rotation = [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    affine = np.eye(4)
    affine[:3, :3] = np.array(rotation) * [1.0, 1.5, 2.0]
    affine[:3, 3] = rng.uniform(-50, 50, 3)
    grid = Grid.from_array((7, 6, 5), affine)
    patch = patch or (shape.outputs, 1, 1)
    return Program(
        shape,
        formats,
        frequencies.astype(np.int16),
        tuple(layers),
        Frame.around([Lattice(grid, patch).padded]),
        grid,
        Intensity(-100.0, 300.0, "int16"),
        patch,
    )
