"""The bundled MRI: its content, its size, and the script that makes it."""

import importlib.util
from pathlib import Path

import nibabel
import numpy as np
import pytest

from implicore.model.bundled import bundled_mri

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def image():
    return nibabel.load(bundled_mri())


@pytest.fixture(scope="module")
def maker():
    spec = importlib.util.spec_from_file_location("maker", ROOT / "tools/make_bundled_mri.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_size_and_notice():
    assert bundled_mri().stat().st_size <= 1_000_000
    notice = (bundled_mri().parent / "NOTICE-MNI152.txt").read_text(encoding="utf-8")
    assert "Copyright (C) 1993-2009 Louis Collins" in notice


def test_geometry(image):
    assert image.shape == (98, 116, 94)
    expected = [[2, 0, 0, -97], [0, 2, 0, -133], [0, 0, 2, -71], [0, 0, 0, 1]]
    assert np.array_equal(image.affine, expected)
    assert np.array_equal(image.get_qform(), image.affine)
    assert image.header.get_xyzt_units()[0] == "mm"


def test_intensities(image):
    voxels = np.asanyarray(image.dataobj)
    assert voxels.dtype == np.uint8
    assert voxels.min() == 0
    assert voxels.max() == 255
    assert len(np.unique(voxels)) > 250


def test_it_is_a_brain_the_right_way_round(image):
    """White matter is bright, the ventricles in front of and below it dark, and so on."""
    voxels = np.asanyarray(image.dataobj).astype(int)

    def at(*mm):
        index = np.linalg.solve(image.affine, [*mm, 1])[:3]
        return voxels[tuple(np.rint(index).astype(int))]

    white = at(25, -21, 31)
    assert white > 200
    assert at(5, 3, 15) < 0.5 * white  # lateral ventricle: front to back and up to down are right
    assert at(5, -41, 15) > 0.5 * white
    assert at(0, 0, 110) == 0  # air
    # The template is symmetric, and x = 0 lies in the middle of the grid.
    assert np.array_equal(voxels, voxels[::-1])


def test_resampling_keeps_a_ramp_and_its_place(maker):
    """A linear image, read in mm, is the same on the coarser grid (away from the border)."""
    affine = np.array([[0, -1.0, 0, 5], [1.0, 0, 0, -7], [0, 0, 1.0, 3], [0, 0, 0, 1]])
    shape = (31, 24, 28)

    def ramp_on(affine, shape):
        return np.tensordot([1.0, 2.0, -3.0], positions(affine, shape), 1)

    inner = (slice(2, -2),) * 3
    for step in (2.0, 2.5, 3.0):
        voxels, coarse = maker.resample(ramp_on(affine, shape), affine, step)
        np.testing.assert_allclose(
            voxels[inner], ramp_on(coarse, voxels.shape)[inner], rtol=0, atol=1e-2
        )


def positions(affine, shape):
    grid = np.indices(shape)
    return np.tensordot(affine[:3, :3], grid, 1) + affine[:3, 3].reshape(3, 1, 1, 1)


def test_resampling_does_not_alias(maker):
    """Detail at the source's finest period vanishes and does not alias."""
    stripes = np.broadcast_to(100.0 * (np.arange(40) % 2), (40, 40, 40))
    voxels, _ = maker.resample(stripes, np.eye(4), 2.0)
    inner = voxels[3:-3, 3:-3, 3:-3]
    assert np.ptp(inner) < 6
    assert inner.mean() == pytest.approx(50, abs=3)


def test_encoding_is_deterministic(maker, tmp_path):
    voxels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    content = maker.encode(voxels, np.diag([2.0, 2, 2, 1]))
    assert content == maker.encode(voxels.copy(), np.diag([2.0, 2, 2, 1]))
    assert content[4:8] == bytes(4)  # gzip's time stamp
    (tmp_path / "x.nii.gz").write_bytes(content)
    assert np.array_equal(np.asanyarray(nibabel.load(tmp_path / "x.nii.gz").dataobj), voxels)


def test_maker_without_template(maker, tmp_path, capsys):
    assert maker.main(["--template", str(tmp_path / "none.nii.gz"), "-o", str(tmp_path / "o")]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert not (tmp_path / "o").exists()


def test_maker_rejects_what_the_package_cannot_hold(maker, tmp_path, capsys):
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 128), dtype=np.uint8)
    nibabel.save(nibabel.Nifti1Image(noise, np.eye(4)), tmp_path / "noise.nii")
    arguments = ["--template", str(tmp_path / "noise.nii"), "-o", str(tmp_path / "o")]
    assert maker.main([*arguments, "--voxel-mm", "1"]) == 1
    assert "room for" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
