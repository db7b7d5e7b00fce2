import os
import shutil
import sys
from importlib import invalidate_caches
from pathlib import Path

import pytest

from implicore import digest
from implicore.digest import json_digest, path_digest, source_digest

PACKAGE = ("__init__.py", "part.py", "driver.cpp", "inner/__init__.py", "inner/deep.py")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package ``sample``, its files older than this process, in a folder on the path."""
    folder = tmp_path / "here" / "sample"
    for name in (*PACKAGE, "above/__init__.py", "above/page.py", "command.py"):
        write(folder / name, name)
    monkeypatch.setattr(digest, "LAYERS", {"sample.above", "sample.command"})
    use(folder, monkeypatch)
    return folder


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"# {text}\n")
    os.utime(path, (1, 1))


def use(folder: Path, monkeypatch) -> None:
    monkeypatch.delitem(sys.modules, "sample", raising=False)
    monkeypatch.syspath_prepend(str(folder.parent))
    invalidate_caches()


@pytest.mark.parametrize("name", PACKAGE)
def test_source_digest_changes_with_every_file(package, name):
    before = source_digest("sample")
    write(package / name, "another")
    changed = source_digest("sample")
    write(package / name, name)
    assert source_digest("sample") == before != changed


def test_source_digest_changes_with_names_and_new_files(package):
    found = {source_digest("sample")}
    write(package / "new.py", "new")
    found.add(source_digest("sample"))
    (package / "new.py").rename(package / "other.py")
    found.add(source_digest("sample"))
    assert len(found) == 3


def test_source_digest_ignores_other_files(package):
    before = source_digest("sample")
    write(package / "notes.txt", "notes")
    write(package / "__pycache__" / "part.pyc", "compiled")
    assert source_digest("sample") == before


def test_layers_above_count_only_by_their_own_name(package):
    parts = ("sample", "sample.above", "sample.command")
    before = [source_digest(part) for part in parts]
    write(package / "above" / "page.py", "another")
    write(package / "command.py", "another")
    after = [source_digest(part) for part in parts]
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, False]


def test_source_digest_does_not_depend_on_the_location(package, tmp_path, monkeypatch):
    before = source_digest("sample", "sample.above")
    folder = tmp_path / "there" / "sample"
    shutil.copytree(package, folder)
    shutil.rmtree(package)
    use(folder, monkeypatch)
    assert source_digest("sample.above", "sample") == before


def test_results_of_files_changed_since_the_start_are_not_shared(package, monkeypatch):
    before = source_digest("sample")
    os.utime(package / "part.py", (digest.STARTED + 1, digest.STARTED + 1))
    changed = source_digest("sample")
    assert changed != before and source_digest("sample") == changed
    monkeypatch.setattr(digest, "STARTED", digest.STARTED + 0.5)  # another process
    assert source_digest("sample") not in (before, changed)


def test_source_digest_of_a_missing_module():
    with pytest.raises(ModuleNotFoundError, match=r"^There is no .* module implicore\.x\.$"):
        source_digest("implicore.x")


def test_source_files_of_implicore():
    files = {name: dict(digest._source_files(name)) for name in ("implicore", *digest.LAYERS)}
    assert {"implicore.digest.py", "implicore.formats.py"} <= set(files["implicore"])
    assert {"implicore.sim.fast.cpp", "implicore.sim.fast.py"} <= set(files["implicore.sim"])
    assert "implicore.synth.targets.osu018.toml" in files["implicore.synth"]
    assert "implicore.model.train.optimizer.py" in files["implicore.model"]
    assert "implicore.synth.explore.journal.py" in files["implicore.synth.explore"]
    owners = [name for held in files.values() for name in held]
    assert len(owners) == len(set(owners)), "a file belongs to two layers"


def test_path_digest(tmp_path):
    write(tmp_path / "a" / "x", "1")
    write(tmp_path / "b" / "x", "1")
    assert path_digest(tmp_path / "a") == path_digest(tmp_path / "b")
    assert json_digest([tmp_path / "a" / "x"]) == json_digest([path_digest(tmp_path / "b" / "x")])
    (tmp_path / "b" / "x").rename(tmp_path / "b" / "y")
    assert path_digest(tmp_path / "a") != path_digest(tmp_path / "b")
    with pytest.raises(FileNotFoundError):
        path_digest(tmp_path / "c")
