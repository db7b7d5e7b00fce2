"""Configurations as users write them."""

import pytest

from implicore.accelerator_config import ACCELERATORS, AcceleratorConfig
from implicore.config_file import make_config, read_config, to_toml
from implicore.errors import BadInput
from implicore.formats import Formats
from implicore.network_shape import NETWORKS


@pytest.mark.parametrize("name", ACCELERATORS)
def test_presets(name):
    assert read_config(name) == ACCELERATORS[name]


def test_settings_change_fields():
    config = read_config("small", ["rows=3", "formats=w4a8", "gate_zeros=true"])
    small = ACCELERATORS["small"]
    assert (config.rows, config.columns, config.gate_zeros) == (3, small.columns, True)
    assert config.formats == Formats(4, 8) and config.weight_depth == small.weight_depth


def test_networks_size_the_memories():
    config = read_config("tiny", ["rows=5", "columns=3", "networks=demo,fast"])
    networks = [NETWORKS["demo"], NETWORKS["fast"]]
    assert config == AcceleratorConfig.sized(5, 3, Formats(8, 12), networks)
    assert read_config("tiny", ["networks=demo", "lanes=2"]).lanes == 2


def test_files(tmp_path):
    file = tmp_path / "a.toml"
    file.write_text('rows = 2\ncolumns = 3\nformats = "w8a8"\nnetworks = ["fast"]\n')
    assert read_config(str(file)) == AcceleratorConfig.sized(
        2, 3, Formats(8, 8), [NETWORKS["fast"]]
    )
    assert read_config(str(file), ["columns=7"]).columns == 7


@pytest.mark.parametrize(
    ("source", "settings", "text"),
    [
        ("huge", [], r"^huge is neither a preset \(tiny, .*\) nor an existing file\.$"),
        ("tiny", ["rows"], r"^A setting must have the form rows=16, not 'rows'\.$"),
        ("tiny", ["rows=0"], r"^Accelerator rows must be .* from 1 to 256, not 0\.$"),
        ("tiny", ["rows=x"], r"^Accelerator rows must be an integer, not 'x'\.$"),
        (
            "tiny",
            ["cols=4"],
            r"^An accelerator has no field cols; its fields are rows, .*, networks\.$",
        ),
        ("tiny", ["formats=8"], r"^Accelerator formats must be Formats, not 8\.$"),
        ("tiny", ["formats=w8"], r"^Formats must have the form w8a12 .*, not 'w8'\.$"),
        ("tiny", ["networks=vgg"], r"^There is no network preset vgg; the presets are demo, .*\.$"),
        ("tiny", ["lanes=9"], r"^Accelerator lanes must be .* from 1 to 4, not 9\.$"),
    ],
)
def test_what_cannot_be_is_one_sentence(source, settings, text):
    with pytest.raises(BadInput, match=text):
        read_config(source, settings)


def test_bad_files(tmp_path):
    file = tmp_path / "a.toml"
    file.write_text("rows = ")
    with pytest.raises(BadInput, match=r"a\.toml is not TOML: .*\.$"):
        read_config(str(file))
    file.write_text('rows = 2\nformats = "w8a8"\nnetworks = ["fast"]\n')
    with pytest.raises(BadInput, match=r"a\.toml has no field columns, which is required\.$"):
        read_config(str(file))
    with pytest.raises(BadInput, match=r"cannot be read: Is a directory\.$"):
        read_config(str(tmp_path))


@pytest.mark.parametrize("name", ACCELERATORS)
def test_toml_is_read_back(name, tmp_path):
    config = ACCELERATORS[name]
    file = tmp_path / "a.toml"
    file.write_text(to_toml(config))
    assert read_config(str(file)) == config


def test_shapes_stand_for_networks():
    shape = NETWORKS["fast"]
    values = {"rows": 2, "columns": 3, "formats": "w8a8", "networks": [shape], "lanes": 2}
    config = make_config(values)
    assert config.width == shape.width and config.lanes == 2
    assert values["networks"] == [shape]


@pytest.mark.parametrize("setting", ["columns=0", "rows=0", "columns=many"])
def test_a_side_that_cannot_be_is_one_sentence(setting):
    with pytest.raises(BadInput, match=r"^Accelerator \w+ must be an integer"):
        read_config("tiny", [setting, "networks=demo"])
