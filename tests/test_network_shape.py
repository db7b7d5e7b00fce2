"""Network shapes, formats and presets."""

import pytest

from implicore.formats import Formats
from implicore.network_shape import NETWORKS, NetworkShape


def test_paper_preset_is_the_published_network():
    paper = NETWORKS["paper"]
    assert (paper.depth, paper.width, paper.frequencies, paper.skips) == (15, 256, 128, (6, 11))
    assert [layer.inputs for layer in paper.layers].count(512) == 2
    assert sum(layer.inputs * layer.outputs for layer in paper.layers[:-1]) == 1 << 20


@pytest.mark.parametrize(
    ("name", "depth", "width", "frequencies"),
    [("demo", 15, 64, 64), ("fast", 5, 64, 64), ("quality", 15, 128, 128)],
)
def test_presets(name, depth, width, frequencies):
    shape = NETWORKS[name]
    assert (shape.depth, shape.width, shape.frequencies) == (depth, width, frequencies)


def test_layers_of_odd_shapes():
    assert NetworkShape(3, 5, 1).layers == ((6, 0, 1),)
    assert NetworkShape(3, 5, 3, (2, 3)).layers == ((6, 0, 5), (6, 5, 5), (6, 5, 1))
    shape = NetworkShape(3, 5, 3)
    assert shape.weights == 6 * 5 + 5 * 5 + 5 and shape.parameters == shape.weights + 11


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (
            (0, 5, 2),
            ValueError,
            r"^Network frequencies must be .* from 1 to 1024, not 0\.$",
        ),
        ((3, 5.0, 2), TypeError, r"^Network width must be an integer, not 5\.0\.$"),
        ((3, 5, True), TypeError, r"^Network depth must be an integer, not True\.$"),
        ((3, 5, 4, (1,)), ValueError, r"^Network skips must name layers from 2 to .* 4, not 1\.$"),
        (
            (3, 5, 4, (3, 2)),
            ValueError,
            r"^Network skips must be in increasing order, not \(3, 2\)\.$",
        ),
        ((3, 5, 4, [2]), TypeError, r"^Network skips must be a tuple of integers, not \[2\]\.$"),
        (
            (9, 2048, 64),
            ValueError,
            r"^A network must have at most 8388608 weights, not \d+\.$",
        ),
    ],
)
def test_impossible_shapes_are_refused(arguments, error, text):
    with pytest.raises(error, match=text):
        NetworkShape(*arguments)


def test_format_defaults_follow_from_the_activations():
    formats = Formats(8, 12)
    assert (formats.accumulator_bits, formats.table_address_bits, formats.output_bits) == (
        28,
        10,
        16,
    )
    assert Formats(16, 16).table_address_bits == 12
    assert [Formats(8, bits).output_bits for bits in (4, 8, 16)] == [8, 12, 16]
    assert (formats.requantizer_bits, formats.offset_bits) == (28, 24)


@pytest.mark.parametrize("name", ["w8a12", "w8a8", "w4a4m0", "w16a16c44m15t14o8", "w8a12t6"])
def test_format_names_read_back(name):
    formats = Formats.parse(name)
    assert Formats.parse(str(formats)) == formats
    assert str(Formats.parse("w8a12m0t10")) == "w8a12"


@pytest.mark.parametrize("text", ["", "w8", "a12", "w8a12w8", "w8a12x3", "8x12", "w8 a12", "W8A12"])
def test_unreadable_format_names_are_refused(text):
    with pytest.raises(ValueError, match=rf"^Formats must have the form .*, not '{text}'\.$"):
        Formats.parse(text)


@pytest.mark.parametrize(
    "text", ["w3a12", "w17a8", "w8a3", "w8a8t15", "w8a8m16", "w8a8c45", "w8a8o7"]
)
def test_impossible_formats_are_refused(text):
    with pytest.raises(ValueError, match=r"^Formats \w+ must be .* from \d+ to \d+, not \d+\.$"):
        Formats.parse(text)
