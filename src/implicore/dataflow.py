"""How a network maps onto the array: its tiles, its words in memory, the units' latencies."""

from __future__ import annotations

from functools import cache

from .formats import Formats
from .network_shape import LayerShape, NetworkShape
from .sincos import BIPARTITE_FROM


def column_tiles(outputs: int, columns: int) -> int:
    """Column tiles of a layer of ``outputs`` neurons."""
    return -(-outputs // columns)


def output_layer_bypasses_array(shape: NetworkShape) -> bool:
    """Whether the output layer runs on the output-layer MACs: it takes no features."""
    return shape.layers[-1].features == 0


def array_layers(shape: NetworkShape) -> tuple[LayerShape, ...]:
    """The layers that run on the array."""
    return shape.layers[:-1] if output_layer_bypasses_array(shape) else shape.layers


@cache
def weight_words(shape: NetworkShape, columns: int) -> int:
    """Weights of each column. Also the steps of one voxel tile."""
    return sum(column_tiles(layer.outputs, columns) * layer.inputs for layer in array_layers(shape))


def neurons(shape: NetworkShape) -> int:
    """Neurons of all layers. Also the words of the constant memory."""
    return sum(layer.outputs for layer in shape.layers)


PE_LATENCY = 3
"""Cycles from a processing element's operands to its accumulator."""


def requantizer_latency(formats: Formats) -> int:
    """Cycles from an accumulator to its activation or voxel; one less without multipliers."""
    return 5 if formats.multiplier_bits else 4


def output_mac_latency(formats: Formats) -> int:
    """Cycles from the drain token of the last hidden neuron to that of the bypass sum."""
    return requantizer_latency(formats) + PE_LATENCY + 1


def mapper_latency(formats: Formats) -> int:
    """Cycles from the read of the last coefficient of B to usable features."""
    return 10 + (formats.table_address_bits >= BIPARTITE_FROM)


def mapper_cycles(frequencies: int, points: int, lanes: int) -> int:
    """Cycles in which the Fourier mapper takes ``points`` and runs through B for each batch."""
    return points + 3 * frequencies * -(-points // lanes)
