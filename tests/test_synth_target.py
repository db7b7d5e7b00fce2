import pytest

from implicore.errors import BadInput
from implicore.synth import target

TEXT = """
title = "My process"
corner = "typical"
cells = "cells.lib"
"""


def described(folder, text, *, cells=True):
    if cells:
        (folder / "cells.lib").write_text("library(x) { }")
    path = folder / "mine.toml"
    path.write_text(text)
    return str(path)


def test_target_from_a_file(tmp_path):
    found = target.find(described(tmp_path, TEXT + "[estimate]\nscale = 0.09\nvoltage = 1.0\n"))
    assert (found.name, found.title, found.corner) == ("mine", "My process", "typical")
    assert found.liberty == tmp_path / "cells.lib"
    assert found.memories.startswith("ESTIMATED") and "0.09 um and 1.0 V" in found.memories


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TEXT, r"must have either a table \[macros\] or a table \[estimate\]\.$"),
        (TEXT + "wire = 1\n[estimate]\n", r"has an unknown field 'wire': choose \["),
        ("title = 1\n[estimate]\n", r"has no 'title', which must be a string\.$"),
        ("title = ", r"^The target .*mine\.toml is not TOML: "),
        (TEXT + '[macros]\nfiles = "*.mem"\n', r"^My process has no SRAM macros at .*\*\.mem: "),
    ],
)
def test_invalid_descriptions_are_rejected(tmp_path, text, message):
    with pytest.raises(BadInput, match=message):
        target.find(described(tmp_path, text))


def test_missing_files_are_reported(tmp_path, monkeypatch):
    with pytest.raises(BadInput, match=r"^There is no target 'tsmc': choose ihp-sg13g2, osu018 or"):
        target.find("tsmc")
    with pytest.raises(BadInput, match=r"mine\.toml cannot be read: No such file or directory\.$"):
        target.find(str(tmp_path / "mine.toml"))
    path = described(tmp_path, TEXT + "[estimate]\n", cells=False)
    with pytest.raises(
        BadInput, match=r"^My process needs .*cells\.lib, which does not exist: check"
    ):
        target.find(path)
    monkeypatch.delenv("PDK_ROOT", raising=False)
    with pytest.raises(
        BadInput,
        match=r"^IHP .* needs the environment variable PDK_ROOT, which is not set: install",
    ):
        target.find("ihp-sg13g2")
    monkeypatch.setenv("PDK_ROOT", str(tmp_path))
    with pytest.raises(
        BadInput, match=r"^IHP .* needs .*typ_1p20V_25C\.lib, which does not exist: "
    ):
        target.find("ihp-sg13g2")
