"""How a network maps onto the array: column tiles, words in memory, latencies of the units."""

from __future__ import annotations

from functools import cache

from .formats import Formats
from .network_shape import LayerShape, NetworkShape
from .sincos import BIPARTITE_FROM


def column_tiles(outputs: int, columns: int) -> int:
    """Return the number of column tiles of a layer of ``outputs`` neurons."""
    return -(-outputs // columns)


def output_layer_bypasses_array(shape: NetworkShape) -> bool:
    """Return whether the output layer runs on the output-layer MACs.

    It has one neuron and takes no features. Any other output layer runs on the array.
    """
    return shape.outputs == 1 and shape.layers[-1].features == 0


def array_layers(shape: NetworkShape) -> tuple[LayerShape, ...]:
    """Return the layers that run on the array."""
    return shape.layers[:-1] if output_layer_bypasses_array(shape) else shape.layers


@cache
def weight_words(shape: NetworkShape, columns: int) -> int:
    """Return the number of weights per column, which is also the number of steps per voxel tile."""
    return sum(column_tiles(layer.outputs, columns) * layer.inputs for layer in array_layers(shape))


def neurons(shape: NetworkShape) -> int:
    """Return the number of neurons in all layers, which is also the number of constant words."""
    return sum(layer.outputs for layer in shape.layers)


def voxel_words(outputs: int, voxels_per_beat: int) -> int:
    """Return the number of words of a voxel bank that the voxels of one point take."""
    return -(-outputs // voxels_per_beat)


def decoder_latency(protection: str) -> int:
    """Return the cycles that the decoder adds to a read of a program's memory."""
    return int(protection != "none")


PE_LATENCY = 3
"""Cycles from a processing element's operands to its accumulator."""


def requantizer_latency(formats: Formats) -> int:
    """Return the cycles from an accumulator to its activation or voxel."""
    return 5 if formats.multiplier_bits else 4


def output_mac_latency(formats: Formats) -> int:
    """Return the cycles from the drain token of the last hidden neuron to the bypass sum's."""
    return requantizer_latency(formats) + PE_LATENCY + 1


GROUP_ROWS = 16
"""Rows that one register drives or collects from; the next ones follow a cycle later."""

FIFO_LATENCY = 2
"""Cycles from a word that enters the voxel reader's FIFO to its beat."""


def voxel_read_latency(rows: int) -> int:
    """Return the cycles from the read of a word of voxels until it enters the reader's FIFO."""
    return 4 + -(-rows // GROUP_ROWS)


def mapper_latency(formats: Formats, protection: str = "none") -> int:
    """Return the cycles from the read of the last coefficient of B to usable features."""
    lookup = formats.table_address_bits >= BIPARTITE_FROM
    return 10 + lookup + decoder_latency(protection)


def release_delay(formats: Formats, lanes: int) -> int:
    """Return the cycles that a released half of the feature banks waits for its last reads.

    Row r reads its last feature r + 1 cycles after row 0's last step. A tile of one point is
    written to the rows of all lanes as soon as ``mapper_latency`` + 2 cycles after its half is
    free. Up to that many lanes need no wait. Protection delays reads and writes by the same cycle.
    """
    return max(0, lanes - mapper_latency(formats) - 1)


def mapper_cycles(frequencies: int, points: int, lanes: int) -> int:
    """Return the cycles that the Fourier mapper takes to load points and to read B per batch."""
    return points + 3 * frequencies * -(-points // lanes)
