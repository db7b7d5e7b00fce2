import subprocess
import sys

import numpy as np
import pytest
import scans


def test_rejects_files_that_are_not_images(tmp_path):
    assert scans.rejected(tmp_path / "none.nii") == "IMAGE does not exist."

    text = tmp_path / "photo.jpg"
    text.write_text("hello")
    assert scans.rejected(text) == (
        "IMAGE is neither a NIfTI file (.nii, .nii.gz) nor a folder with a DICOM series."
    )
    for name in ("text.nii", "text.nii.gz"):
        (tmp_path / name).write_text("hello")
        assert scans.rejected(tmp_path / name) == "IMAGE is damaged or is not a NIfTI file."
    (tmp_path / "nothing.nii").touch()
    assert scans.rejected(tmp_path / "nothing.nii") == "IMAGE is damaged or is not a NIfTI file."


def test_libraries_stay_silent(tmp_path):
    path = scans.write_nifti(tmp_path / "scan.nii", scans.voxels())
    scans.patch(path, 252, "<hh", 1, 0)
    scans.patch(path, 80, "<f", -1.0)  # nibabel warns about it
    series = scans.write_dicom(tmp_path / "series", scans.voxels()[..., :3])
    file = sorted(series.iterdir())[0]
    file.write_bytes(file.read_bytes()[:500])
    code = (
        "import sys; from implicore.model.volume import load_volume; load_volume(sys.argv[1])\n"
        "try: load_volume(sys.argv[2])\nexcept ValueError: pass"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path, series], capture_output=True, text=True, check=True
    )
    assert done.stdout + done.stderr == ""


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((6, 7, 1), "IMAGE is a single slice of 6 x 7 x 1 voxels, not a volume"),
        ((1, 7, 5), "IMAGE is a single slice of 1 x 7 x 5 voxels, not a volume"),
        ((6, 7), "IMAGE is a single slice of 6 x 7 x 1 voxels, not a volume"),
    ],
)
def test_rejects_a_single_slice(tmp_path, shape, message):
    path = scans.write_nifti(
        tmp_path / "scan.nii", np.arange(np.prod(shape), dtype="i2").reshape(shape)
    )
    assert scans.rejected(path) == f"{message}: at least 2 are needed along each axis."


def test_rejects_values_that_are_not_finite(tmp_path):
    data = scans.voxels("f4")
    data[1, 2, 3] = np.nan
    path = scans.write_nifti(tmp_path / "scan.nii", data)
    assert (
        scans.rejected(path)
        == "IMAGE has 1 voxel with a value that is not finite (NaN or infinite)."
    )
    data[0, :, 0] = -np.inf
    path = scans.write_nifti(tmp_path / "scan.nii", data)
    assert (
        scans.rejected(path)
        == "IMAGE has 8 voxels with a value that is not finite (NaN or infinite)."
    )
    data = scans.voxels("f8")
    data[0, 0, 0], data[1, 0, 0] = 1e308, -1e308
    path = scans.write_nifti(tmp_path / "scan.nii", data)
    assert (
        scans.rejected(path) == "IMAGE has intensities from -1e+308 to 1e+308, which is too wide."
    )


def test_rejects_a_constant_image(tmp_path):
    path = scans.write_nifti(tmp_path / "scan.nii", np.full(scans.SHAPE, 7, "i2"))
    assert scans.rejected(path) == "IMAGE is constant: every voxel is 7."


def test_rejects_an_invalid_geometry(tmp_path):
    expected = (
        "IMAGE has no valid geometry: its affine is singular or has numbers that are not finite."
    )
    for column in ([0, 0, 0], [np.nan, 0, 1], [np.inf, 0, 1], [0.7, 0, 0], [0.7, 1e-7, 0]):
        matrix = scans.affine(np.eye(3), (1, 1, 1))
        matrix[:3, 0] = [1, 0, 0]
        path = scans.write_nifti(tmp_path / "scan.nii", scans.voxels(), matrix)
        raw = np.array([[1, column[0], 0, 0], [0, column[1], 0, 0], [0, column[2], 1, 0]])
        scans.patch(path, 280, "<12f", *raw.ravel())  # srow_x, srow_y, srow_z
        assert scans.rejected(path) == expected

    path = scans.write_nifti(tmp_path / "scan.nii", scans.voxels())
    scans.patch(path, 252, "<hh", 1, 0)  # qform only
    scans.patch(path, 80, "<f", 0.0)  # pixdim[1]
    assert scans.rejected(path) == "IMAGE has no valid geometry: a voxel size is zero."
    path = scans.write_nifti(tmp_path / "scan.nii", scans.voxels())
    scans.patch(path, 123, "<B", 3)  # xyzt_units
    assert scans.rejected(path) == (
        "IMAGE gives its geometry in micrometres, but only millimetres are supported."
    )
