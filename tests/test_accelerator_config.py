import dataclasses

import pytest

from implicore.accelerator_config import ACCELERATORS, AcceleratorConfig
from implicore.dataflow import mapper_cycles, neurons, weight_words
from implicore.errors import BadInput
from implicore.formats import Formats
from implicore.network_shape import NETWORKS, NetworkShape
from implicore.random_program import random_program

SHAPE = NetworkShape(frequencies=3, width=5, depth=4, skips=(3,))
FORMATS = Formats.parse("w8a8m3")
CONFIG = AcceleratorConfig.sized(3, 2, FORMATS, [SHAPE])


def test_sizes_by_hand():
    # 3 column tiles of 2 for 5 neurons; inputs 6, 5, 11; the last layer takes no step.
    assert weight_words(SHAPE, 2) == 3 * (6 + 5 + 11)
    assert weight_words(dataclasses.replace(SHAPE, skips=(4,)), 2) == 3 * (6 + 5 + 5) + 11
    assert neurons(SHAPE) == 16
    assert mapper_cycles(3, 3, 2) == 3 + 2 * 9


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"frequencies": 4}, "frequencies is 4, but the accelerator holds at most 3"),
        ({"width": 6}, "width is 6, but the accelerator holds at most 5"),
        ({"depth": 5}, "depth is 5, but the accelerator holds at most 4"),
        ({"skips": (2, 3)}, "weights per column is 84, but the accelerator holds at most 66"),
    ],
)
def test_shapes_that_do_not_fit(change, sentence):
    program = random_program(dataclasses.replace(SHAPE, **change), FORMATS)
    with pytest.raises(BadInput) as error:
        CONFIG.check_fits(program)
    assert str(error.value) == f"The program does not fit the accelerator: {sentence}."


@pytest.mark.parametrize("formats", ["w9a8m3", "w8a8m4", "w8a9m3", "w8a8m3t11", "w8a8m3o13"])
def test_formats_that_do_not_fit(formats):
    program = random_program(SHAPE, Formats.parse(formats))
    with pytest.raises(
        BadInput, match=r"^The program does not fit the accelerator: \w+ is \d+, but "
    ):
        CONFIG.check_fits(program)


@pytest.mark.parametrize("formats", ["w8a8m3", "w4a8m0", "w8a8m2c20o12"])
def test_smaller_formats_fit(formats):
    CONFIG.check_fits(random_program(SHAPE, Formats.parse(formats)))


@pytest.mark.parametrize(
    ("columns", "word_bits", "per_bank", "banks"),
    [
        (16, 64, 8, 2),
        (5, 64, 5, 1),  # one bank holds all columns
        (9, 64, 5, 2),  # 8 and 1 columns would leave more of the second word unused
        (6, 8, 1, 6),
        (6, 15, 1, 6),
        (6, 1024, 6, 1),
    ],
)
def test_columns_per_bank(columns, word_bits, per_bank, banks):
    config = dataclasses.replace(CONFIG, columns=columns, weight_word_bits=word_bits)
    assert (config.columns_per_bank, config.weight_banks) == (per_bank, banks)


@pytest.mark.parametrize(("outputs", "per_beat"), [(1, 1), (8, 1), (40, 2), (64, 4), (400, 8)])
def test_beats_have_as_few_voxels_as_keep_up_with_the_array(outputs, per_beat):
    shape = NetworkShape(frequencies=8, width=40, depth=4, outputs=outputs)
    config = AcceleratorConfig.sized(16, 16, FORMATS, [shape])
    assert (config.outputs, config.voxels_per_beat) == (outputs, per_beat)


def test_networks_with_too_many_outputs_do_not_fit():
    shape = NetworkShape(frequencies=1, width=1, depth=2)
    config = AcceleratorConfig.sized(2, 2, FORMATS, [shape])
    with pytest.raises(BadInput, match="outputs is 2, but the accelerator holds at most 1"):
        config.check_holds(dataclasses.replace(shape, outputs=2))


def test_presets_hold_their_networks_and_differ():
    for preset, network in (
        ("tiny", "fast"),
        ("small", "quality"),
        ("medium", "demo"),
        ("patch", "patch"),
    ):
        config = ACCELERATORS[preset]
        config.check_fits(random_program(NETWORKS[network], config.formats))
    digests = {config.digest for config in ACCELERATORS.values()}
    assert len(digests) == len(ACCELERATORS)
    for config in ACCELERATORS.values():
        fields = config.to_dict()
        assert AcceleratorConfig.from_dict(fields) == config
        assert AcceleratorConfig.from_dict({**fields, "formats": str(config.formats)}) == config


def test_invalid_arguments():
    for field, value, limits in (
        ("rows", 0, "1 to 256"),
        ("columns", 300, "1 to 256"),
        ("frequencies", 0, "1 to 1024"),
        ("width", 4096, "1 to 2048"),
        ("depth", 65, "1 to 64"),
        ("lanes", 4, "1 to 3"),
        ("weight_depth", 0, "1 to 8388608"),
        ("weight_word_bits", 7, "8 to 1024"),
        ("weight_word_bits", 2048, "8 to 1024"),
        ("outputs", 0, "1 to 2048"),
        ("outputs", 4096, "1 to 2048"),
        ("voxels_per_beat", 0, "1 to 8"),
        ("voxels_per_beat", 16, "1 to 8"),
    ):
        with pytest.raises(ValueError) as error:
            dataclasses.replace(CONFIG, **{field: value})
        assert str(error.value) == (
            f"Accelerator {field} must be an integer from {limits}, not {value}."
        )
    with pytest.raises(TypeError, match=r"^Accelerator formats must be Formats, not 'w8a8'\.$"):
        dataclasses.replace(CONFIG, formats="w8a8")
    with pytest.raises(TypeError, match=r"^Accelerator formats must be Formats, not 'w8a8'\.$"):
        AcceleratorConfig.sized(3, 2, "w8a8", [SHAPE])
    with pytest.raises(ValueError, match=r"^Accelerator networks must have at least one .* none"):
        AcceleratorConfig.sized(3, 2, FORMATS, [])
    with pytest.raises(ValueError, match=r"^Accelerator voxels_per_beat must be one of 1, 2, 4, 8"):
        dataclasses.replace(CONFIG, voxels_per_beat=3)
    with pytest.raises(TypeError, match=r"^Accelerator gate_zeros must be a bool, not 1\.$"):
        dataclasses.replace(CONFIG, gate_zeros=1)
