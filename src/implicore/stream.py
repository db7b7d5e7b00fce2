"""The program stream: a program for one configuration, in 32-bit words.

The stream consists of 16-bit items, two per word, the lower half first. Signed items are in two's
complement.

    header        ``HEADER``, in this order
    coefficients  B: x, y and z of each frequency
    constants     four items per neuron, layer by layer: ``constant_items``
    weights       one per column and step of a voxel tile, the column fastest: ``weight_sequence``
    padding       one item if the number of items is odd

The last word is the CRC-32 (as in zlib and Ethernet) of all bytes before it. Weights are laid out
for a number of columns, so a stream belongs to one configuration. The program file does not.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np

from .accelerator_config import AcceleratorConfig
from .dataflow import array_layers, neurons, output_layer_bypasses_array, weight_words
from .formats import Formats
from .network_shape import MAX_DEPTH
from .program import Program

MAGIC = 0x4E49  # "IN"
VERSION = 1

HEADER = (
    "magic",
    "version",
    "columns",
    "formats",
    "frequencies",
    "width",
    "depth",
    "last_output",
    *(f"skips_{number}" for number in range(MAX_DEPTH // 16)),
    "weights_low",
    "weights_high",
    "neurons_low",
    "neurons_high",
)
"""Items of the header. ``last_output`` is the number of outputs minus one, ``weights`` the number
per column. Bit n of ``skips`` is layer n + 1."""


def format_code(formats: Formats) -> int:
    """Pack the widths that must be equal in program and hardware, five bits each."""
    bits = (formats.activation_bits, formats.table_address_bits, formats.output_bits)
    return bits[0] | bits[1] << 5 | bits[2] << 10


def header(program: Program, config: AcceleratorConfig) -> dict[str, int]:
    """Return the items of the header, by name."""
    shape = program.shape
    skips = sum(1 << (layer - 1) for layer in shape.skips)
    weights, count = weight_words(shape, config.columns), neurons(shape)
    items = dict.fromkeys(HEADER, 0)
    items.update(
        magic=MAGIC,
        version=VERSION,
        columns=config.columns,
        formats=format_code(program.formats),
        frequencies=shape.frequencies,
        width=shape.width,
        depth=shape.depth,
        last_output=shape.outputs - 1,
        weights_low=weights & 0xFFFF,
        weights_high=weights >> 16,
        neurons_low=count & 0xFFFF,
        neurons_high=count >> 16,
    )
    for number in range(MAX_DEPTH // 16):
        items[f"skips_{number}"] = skips >> (16 * number) & 0xFFFF
    return items


def constants(program: Program) -> list[tuple[int, int, int, int]]:
    """Return offset, shift, multiplier and output weight of each neuron, layer by layer.

    The output weight is 0 unless the neuron feeds the output-layer MAC.
    """
    result: list[tuple[int, int, int, int]] = []
    for number, layer in enumerate(program.layers, 1):
        output_weights = np.zeros(len(layer.offsets), int)
        if number == program.shape.depth - 1 and output_layer_bypasses_array(program.shape):
            output_weights = program.layers[-1].weights[0]
        arrays = (layer.offsets, layer.shifts, layer.multipliers, output_weights)
        result += zip(*(array.tolist() for array in arrays), strict=True)
    return result


def constant_items(offset: int, shift: int, multiplier: int, output_weight: int) -> list[int]:
    """Pack a neuron's constants into four items: offset (24 bits) and shift (6) share two."""
    packed = (offset & 0xFFFFFF) | shift << 24
    return [packed & 0xFFFF, packed >> 16, multiplier, output_weight & 0xFFFF]


def constant_fields(
    offset: int, shift: int, multiplier: int, output_weight: int, formats: Formats
) -> dict[str, int]:
    """Return the fields of a neuron's word in the constant memory.

    The requantizer shifts in two stages, by ``8 * coarse`` and by ``fine``. Formats without
    multiplier bits have no field for the multiplier.
    """
    fields = {
        "offset": offset,
        "fine": shift & 7,
        "coarse": shift >> 3,
        "output_weight": output_weight,
    }
    return fields | ({"multiplier": multiplier} if formats.multiplier_bits else {})


def weight_sequence(program: Program, columns: int) -> np.ndarray:
    """Return the weights in the order of use, int16 of shape (steps of a voxel tile, columns).

    The order is by layer, then by column tile, then by input. A column without a neuron has
    weights of 0.
    """
    tiles = []
    for layer in program.layers[: len(array_layers(program.shape))]:
        for first in range(0, len(layer.weights), columns):
            weights = layer.weights[first : first + columns]
            tile = np.zeros((weights.shape[1], columns), np.int16)
            tile[:, : len(weights)] = weights.T
            tiles.append(tile)
    return np.concatenate(tiles)


def weight_writes(program: Program, config: AcceleratorConfig) -> Iterator[tuple]:
    """Yield the writes of the weight banks: one-hot bank, address, word as a list of weights.

    A word holds the latest weights of the stream, as many as there are columns per bank. A bank
    with fewer columns uses the last of them.
    """
    per_bank = config.columns_per_bank
    for address, row in enumerate(weight_sequence(program, config.columns).tolist()):
        for bank in range(config.weight_banks):
            end = min((bank + 1) * per_bank, config.columns)
            yield 1 << bank, address, row[end - per_bank : end]


def program_stream(program: Program, config: AcceleratorConfig) -> np.ndarray:
    """Return the words of the stream, uint32.

    Raises
    ------
    BadInput
        The program does not fit the configuration.
    """
    config.check_fits(program)
    items = np.concatenate(
        [
            list(header(program, config).values()),
            program.frequencies.ravel(),
            [item for neuron in constants(program) for item in constant_items(*neuron)],
            weight_sequence(program, config.columns).ravel(),
        ]
    ).astype(np.int64)
    items = np.append(items, np.zeros(len(items) % 2, np.int64))
    words = (items & 0xFFFF).astype("<u2").view("<u4")
    return np.append(words, np.uint32(zlib.crc32(words.tobytes()))).astype(np.uint32)
