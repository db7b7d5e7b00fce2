"""Network shapes and presets."""

from math import prod

import pytest

from implicore.network_shape import NETWORKS, PRESET_PATCHES, NetworkShape
from implicore.patch import POINT


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


def test_presets_have_an_output_for_each_voxel_of_their_patch():
    assert {"patch", "patch-large"} == set(PRESET_PATCHES) < set(NETWORKS)
    for name, shape in NETWORKS.items():
        assert shape.outputs == prod(PRESET_PATCHES.get(name, POINT))


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
def test_impossible_shapes_are_rejected(arguments, error, text):
    with pytest.raises(error, match=text):
        NetworkShape(*arguments)
