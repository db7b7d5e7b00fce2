import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest

from implicore.atomic import atomic_write, require_writable, write_json
from implicore.errors import BadInput


def test_file_appears_only_when_complete(tmp_path):
    target = tmp_path / "out.nii.gz"
    target.write_text("old")
    with atomic_write(target) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.endswith("out.nii.gz")
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert os.listdir(tmp_path) == ["out.nii.gz"]


def test_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "out"
    target.write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_write(target) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["out"]


def test_new_file_has_the_default_permissions(tmp_path):
    (tmp_path / "plain").touch()
    with atomic_write(tmp_path / "atomic"):
        pass
    assert (tmp_path / "atomic").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_symbolic_link_is_followed(tmp_path):
    (tmp_path / "folder").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "folder" / "real")
    with atomic_write(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert (tmp_path / "folder" / "real").read_text() == "new"


def test_device_is_written_in_place():
    with atomic_write("/dev/null") as path:
        path.write_text("gone")
    assert not os.path.isfile("/dev/null")


def test_missing_folder(tmp_path):
    with (
        pytest.raises(
            BadInput, match=r"^\S+/no/out cannot be written: no such file or directory.$"
        ),
        atomic_write(tmp_path / "no" / "out"),
    ):
        pytest.fail("the body must not run")


def test_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(BadInput, match=r"^\S+/file/out cannot be written: not a directory\.$"),
        atomic_write(tmp_path / "file" / "out"),
    ):
        pytest.fail("the body must not run")


def test_read_only_folder(tmp_path, monkeypatch):
    def touch(path, **options):  # root, as which CI runs, may write anywhere
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "touch", touch)
    with (
        pytest.raises(BadInput, match=r"^\S+/out cannot be written: permission denied\.$"),
        atomic_write(tmp_path / "out"),
    ):
        pytest.fail("the body must not run")


def test_target_is_a_folder(tmp_path):
    with (
        pytest.raises(BadInput, match=r"^\S+ is a folder, not a file to write\.$"),
        atomic_write(tmp_path),
    ):
        pytest.fail("the body must not run")


def test_full_disk(tmp_path):
    with (
        pytest.raises(BadInput, match=r"^\S+/out cannot be written: no space left on device\.$"),
        atomic_write(tmp_path / "out"),
        open("/dev/full", "w") as full,
    ):
        full.write("x")
    assert os.listdir(tmp_path) == []


def test_write_json(tmp_path):
    path = tmp_path / "metrics.json"
    write_json(
        path,
        {
            "psnr_db": np.float64(39.5),
            "steps": np.int64(7),
            "shape": (np.int16(2), 3),
            "affine": np.eye(2),
            "identical": float("inf"),
            "nested": {"nan": np.float32("nan"), "name": "é", "none": None, "yes": np.True_},
        },
    )
    assert json.loads(path.read_text()) == {
        "psnr_db": 39.5,
        "steps": 7,
        "shape": [2, 3],
        "affine": [[1.0, 0.0], [0.0, 1.0]],
        "identical": None,
        "nested": {"nan": None, "name": "é", "none": None, "yes": True},
    }
    assert path.read_text().endswith("}\n")


def test_write_json_rejects_other_objects(tmp_path):
    with pytest.raises(TypeError):
        write_json(tmp_path / "metrics.json", {"object": object()})
    assert os.listdir(tmp_path) == []


def test_require_writable_detects_unwritable_paths(tmp_path):
    require_writable(tmp_path / "new")
    require_writable("/dev/null")
    assert os.listdir(tmp_path) == []
    with pytest.raises(BadInput, match=r"^/\S+ is a folder, not a file to write\.$"):
        require_writable(tmp_path)
    with pytest.raises(
        BadInput, match=r"^\S+/no/x cannot be written: there is no folder \S+/no\.$"
    ):
        require_writable(tmp_path / "no" / "x")
