import re

import pytest

from implicore.accelerator_config import AcceleratorConfig
from implicore.errors import BadInput
from implicore.formats import Formats
from implicore.network_shape import NETWORKS
from implicore.random_program import random_program
from implicore.synth.explore.spec import read_spec

HEAD = 'target = "osu018"\n'
GRID = '[grid]\nrows = [4, 8]\ncolumns = 6\nformats = ["w8a8", "w8a12"]\nnetwork = "fast"\n'


def spec(folder, text):
    file = folder / "sweep.toml"
    file.write_text(text)
    return read_spec(file)


def points(folder, text):
    return list(spec(folder, text).points())


def test_every_combination_is_sized_for_its_source(tmp_path):
    found = points(tmp_path, HEAD + GRID)
    sizes = [(rows, formats) for rows in (4, 8) for formats in ("w8a8", "w8a12")]
    assert [point.config for point in found] == [
        AcceleratorConfig.sized(rows, 6, Formats.parse(formats), [NETWORKS["fast"]])
        for rows, formats in sizes
    ]
    assert len({point.id for point in found}) == 4
    assert all(point.source.network == "fast" for point in found)


def test_any_field_is_an_axis(tmp_path):
    axes = (
        "lanes = [1, 2]\ngate_zeros = [false, true]\ntable_address_bits = [8, 10]\n"
        "output_bits = 14\nweight_depth = 9000\nweight_word_bits = [16, 64]\n"
    )
    found = points(tmp_path, HEAD + GRID + axes)
    assert len(found) == 4 * 16
    configs = {point.config for point in found}
    assert {config.lanes for config in configs} == {1, 2}
    assert {config.gate_zeros for config in configs} == {False, True}
    assert {config.formats.table_address_bits for config in configs} == {8, 10}
    assert {config.formats.output_bits for config in configs} == {14}
    assert {config.weight_depth for config in configs} == {9000}
    assert {config.columns_per_bank for config in configs} == {2, 6}


def test_networks_size_the_memories(tmp_path):
    both = points(tmp_path, HEAD + GRID + 'networks = ["fast", "quality"]\n')
    assert {point.config.width for point in both} == {128} and len(both) == 4
    either = points(tmp_path, HEAD + GRID + 'networks = [["fast"], ["fast", "quality"]]\n')
    assert {point.config.width for point in either} == {64, 128} and len(either) == 8


def test_an_impossible_combination_is_a_point_with_its_error(tmp_path):
    found = points(tmp_path, HEAD + GRID.replace("6", "[6, 0, 999]") + "lanes = [1, 5]\n")
    assert len(found) == 2 * 3 * 2 * 2
    errors = {point.error for point in found if point.config is None}
    assert "Accelerator lanes must be an integer from 1 to 4, not 5." in errors
    assert "Accelerator columns must be an integer from 1 to 256, not 999." in errors
    assert len({point.id for point in found}) == len(found)
    assert all(point.error == "" for point in found if point.config)


def test_equal_accelerators_are_one_point(tmp_path):
    text = HEAD + GRID.replace('"w8a8"', '"w8a12t10", "w8a12m0"')
    assert len(points(tmp_path, text)) == 2


def test_ids_depend_on_the_accelerator_alone(tmp_path):
    one, two = (points(tmp_path, HEAD + grid) for grid in (GRID, GRID + "gate_zeros = false\n"))
    assert [point.id for point in one] == [point.id for point in two]
    assert one[0].id.startswith("4x6-w8a8-")


def test_a_program_has_its_own_formats(tmp_path):
    program = random_program(NETWORKS["fast"], Formats(8, 9), seed=1)
    program.save(tmp_path / "a.inr")
    grid = '[grid]\nrows = 4\ncolumns = 4\nprogram = "a.inr"\n'
    (point,) = points(tmp_path, HEAD + grid)
    assert point.config.formats == program.formats and point.source.kind == "program"


def test_the_digest_covers_the_description_and_its_files(tmp_path):
    grid = '[grid]\nrows = 4\ncolumns = 4\nprogram = "a.inr"\n'
    random_program(NETWORKS["fast"], Formats(8, 9), seed=1).save(tmp_path / "a.inr")
    first = spec(tmp_path, HEAD + grid).digest
    assert spec(tmp_path, "# the same\n" + HEAD + grid).digest == first
    assert spec(tmp_path, HEAD + "near = 0.1\n" + grid).digest != first
    random_program(NETWORKS["fast"], Formats(8, 9), seed=2).save(tmp_path / "a.inr")
    assert spec(tmp_path, HEAD + grid).digest != first


def test_the_digest_covers_the_files_of_an_image_folder(tmp_path):
    text = HEAD + 'image = "series"\n' + GRID
    (tmp_path / "series").mkdir()
    (tmp_path / "series" / "1.dcm").write_bytes(b"1")
    first = spec(tmp_path, text).digest
    (tmp_path / "series" / "1.dcm").write_bytes(b"2")
    assert spec(tmp_path, text).digest != first
    (tmp_path / "series" / "1.dcm").unlink()
    (tmp_path / "series").rmdir()
    with pytest.raises(BadInput, match=r"series cannot be read: No such file or directory\.$"):
        _ = spec(tmp_path, text).digest


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (GRID, "target must be a cell library"),
        ("target = 3\n" + GRID, "target must be a string"),
        (HEAD, r"grid must be a table \[grid\]"),
        (HEAD + "colour = 1\n" + GRID, "unknown field colour"),
        (HEAD + GRID + "sides = 4\n", "unknown axis sides"),
        (
            HEAD + GRID + 'program = "a.inr"\n',
            "exactly one of the axes model, program, network, not program and network",
        ),
        (HEAD + GRID.replace("network", "networks"), "exactly one of the axes .*, not none"),
        (HEAD + GRID.replace("rows = [4, 8]\n", ""), "lacks the axis rows"),
        (HEAD + GRID.replace("[4, 8]", "[]"), "rows must be a value or a list of values"),
        (HEAD + GRID.replace('"fast"', '"slow"'), "There is no network preset slow"),
        (HEAD + GRID.replace('"fast"', "7"), "network must be strings"),
        (HEAD + GRID + "networks = [3]\n", "networks must be strings"),
        (HEAD + 'objectives = ["beauty"]\n' + GRID, "beauty is not a metric of a design"),
        (HEAD + "objectives = []\n" + GRID, "objectives must be a list of metrics"),
        (HEAD + "objectives = [[3]]\n" + GRID, "objectives must be a list of metrics"),
        (HEAD + 'synthesize = "some"\n' + GRID, "synthesize must be one of pareto, all, none"),
        (HEAD + "near = 1.5\n" + GRID, "near must be a number of at least 0 and below 1"),
        (HEAD + "constraints = 3\n" + GRID, r"constraints must be a table \[constraints\]"),
        (HEAD + GRID + "[constraints]\nsize = 3\n", "unknown constraint size"),
        (HEAD + GRID + "[constraints]\nwhere = 3\n", "where must be a string"),
        (HEAD + GRID.replace("network = ", "model = "), "fast"),
        ("target = \n", "is not TOML"),
    ],
)
def test_a_bad_description_is_one_sentence(tmp_path, text, sentence):
    with pytest.raises(BadInput, match=sentence) as error:
        list(spec(tmp_path, text).points())
    assert re.search(r"\.$", str(error.value)) and "\n" not in str(error.value)


def test_the_old_value_of_synthesize_is_accepted_with_a_warning(tmp_path, capsys):
    found = spec(tmp_path, 'synthesize = "front"\n' + HEAD + GRID)
    assert capsys.readouterr().err == (
        f'{tmp_path / "sweep.toml"}: synthesize = "front" is now synthesize = "pareto"; the old '
        "value will be removed in version 0.3.\n"
    )
    current = spec(tmp_path, 'synthesize = "pareto"\n' + HEAD + GRID)
    assert capsys.readouterr().err == "" and found.digest == current.digest
    assert found.synthesize == "pareto"


def test_a_missing_description(tmp_path):
    with pytest.raises(BadInput, match="cannot be read: No such file"):
        read_spec(tmp_path / "none.toml")
