import zlib

import numpy as np
import pytest

from implicore.accelerator_config import AcceleratorConfig
from implicore.errors import BadInput
from implicore.formats import Formats
from implicore.network_shape import NetworkShape
from implicore.random_program import random_program
from implicore.stream import (
    HEADER,
    constant_items,
    constants,
    program_stream,
    weight_sequence,
)

FORMATS = Formats.parse("w8a8m3")
SHAPE = NetworkShape(frequencies=3, width=5, depth=3)
PROGRAM = random_program(SHAPE, FORMATS, seed=3)
CONFIG = AcceleratorConfig.sized(2, 2, FORMATS, [SHAPE])


def test_order_of_items():
    words = program_stream(PROGRAM, CONFIG)
    assert words[-1] == zlib.crc32(words[:-1].astype("<u4").tobytes())
    items = words[:-1].astype("<u4").view("<u2").astype(int)
    signed = np.where(items < 1 << 15, items, items - (1 << 16))
    assert len(HEADER) % 2 == 0
    position = len(HEADER)
    assert signed[position : position + 9].tolist() == PROGRAM.frequencies.ravel().tolist()
    position += 9
    for neuron in constants(PROGRAM):
        low, high, multiplier, output_weight = signed[position : position + 4].tolist()
        packed = (low & 0xFFFF) | (high & 0xFFFF) << 16
        offset = packed & 0xFFFFFF
        offset -= (offset >> 23) << 24
        assert (offset, packed >> 24, multiplier, output_weight) == neuron
        position += 4
    weights = weight_sequence(PROGRAM, 2)
    assert signed[position : position + weights.size].tolist() == weights.ravel().tolist()
    assert len(items) - position - weights.size in (0, 1)


def test_weight_sequence_by_hand():
    first, second, last = (layer.weights for layer in PROGRAM.layers)
    weights = weight_sequence(PROGRAM, 2)
    assert weights.shape == (3 * (6 + 5), 2)
    assert (weights[:6] == first[:2].T).all()
    assert (weights[12:18, 0] == first[4]).all() and (weights[12:18, 1] == 0).all()
    assert (weights[18:23] == second[:2].T).all()
    output_weights = [weight for *_, weight in constants(PROGRAM)]
    assert output_weights == [0] * 5 + last[0].tolist() + [0]


@pytest.mark.parametrize("neuron", [(-(1 << 23), 63, 32767, -1), ((1 << 23) - 1, 0, 0, 32767)])
def test_extreme_constants(neuron):
    assert all(-(1 << 15) <= item < 1 << 16 for item in constant_items(*neuron))


def test_a_program_that_does_not_fit_is_rejected():
    with pytest.raises(BadInput, match=r"^The program does not fit the accelerator: width is "):
        program_stream(random_program(NetworkShape(3, 6, 3), FORMATS), CONFIG)
