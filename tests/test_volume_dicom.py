import nibabel as nib
import numpy as np
import pytest
import scans
import SimpleITK as sitk

from implicore.model.volume import load_volume


def test_dicom_series_agrees_with_simpleitk(tmp_path):
    data = scans.voxels()
    folder = scans.write_dicom(tmp_path / "series", data, intercept=-1024)
    (folder / "notes.txt").write_text("not an image, and not in the way")
    volume = load_volume(folder)
    # A CT in Hounsfield units, whatever the file stores.
    assert np.array_equal(volume.data, data)
    assert volume.dtype == np.int16
    assert volume.name == "series"

    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    index = (5, 2, 3)
    place = np.array(image.TransformIndexToPhysicalPoint(index)) * [-1, -1, 1]
    assert np.abs(volume.grid.world(index) - place).max() < 2e-6
    assert np.array_equal(volume.grid.matrix, scans.rounded(scans.affine()))


@pytest.mark.parametrize(
    ("data", "slope", "intercept", "expected"),
    [
        (scans.voxels("u1", 0, 255), 1, 0, "u1"),
        (scans.voxels("u2", 0, 60000), 1, 0, "u2"),
        (scans.voxels("i2") * 2, 2, 0, "i2"),
        (scans.voxels("f4") * 1.5, 1.5, 3, "f4"),
    ],
)
def test_dicom_types_and_rescaling(tmp_path, data, slope, intercept, expected):
    folder = scans.write_dicom(tmp_path / "series", data, slope=slope, intercept=intercept)
    volume = load_volume(folder)
    assert volume.dtype == np.dtype(expected)
    assert np.array_equal(volume.data, data)


def test_dicom_slope_that_changes_between_slices(tmp_path):
    data = scans.voxels("f4") * 1.5
    data[..., 0] = scans.voxels()[..., 0]
    scans.write_dicom(tmp_path / "series", data, slope=1.5)
    scans.write_dicom(tmp_path / "series", data[..., :1], slope=1)
    assert np.array_equal(load_volume(tmp_path / "series").data, data)


def test_dicom_tilted_gantry(tmp_path):
    lps = np.diag([-1, -1, 1, 1]) @ scans.affine()
    shift = np.array([0.25, 0.5, 0])
    folder = scans.write_dicom(
        tmp_path / "series", scans.voxels(), position=lambda k: lps[:3] @ [0, 0, k, 1] + shift * k
    )
    expected = scans.affine()
    expected[:3, 2] -= shift  # RAS
    assert np.abs(load_volume(folder).grid.matrix - expected).max() < 1e-6


def test_dicom_stack_that_is_uneven_only_by_rounding(tmp_path):
    lps = np.diag([-1, -1, 1, 1]) @ scans.affine()
    folder = scans.write_dicom(
        tmp_path / "series", scans.voxels(), position=lambda k: np.round(lps[:3] @ [0, 0, k, 1], 2)
    )
    load_volume(folder)


def test_dicom_rejects_unusable_series(tmp_path):
    lps = np.diag([-1, -1, 1, 1]) @ scans.affine()
    start, step = lps[:3, 3], lps[:3, 2]

    (tmp_path / "empty").mkdir()
    assert scans.rejected(tmp_path / "empty") == "IMAGE holds no readable DICOM series."

    folder = scans.write_dicom(tmp_path / "two", scans.voxels())
    scans.write_dicom(folder, scans.voxels(), series="1.2.3.5")
    assert (
        scans.rejected(folder)
        == "IMAGE holds 2 DICOM series, but an image must be a single series."
    )

    folder = scans.write_dicom(tmp_path / "one", scans.voxels()[..., :1])
    assert scans.rejected(folder) == "IMAGE holds a single DICOM slice, not a volume."

    folder = scans.write_dicom(
        tmp_path / "gap", scans.voxels(), position=lambda k: start + step * (k + (k > 2))
    )
    assert scans.rejected(folder) == (
        "The DICOM series in IMAGE has missing or unevenly spaced slices: "
        "neighbours are 1.3 to 2.6 mm apart."
    )

    folder = scans.write_dicom(
        tmp_path / "time", scans.voxels(), position=lambda k: start + step * (k // 2)
    )
    assert scans.rejected(folder) == (
        "The DICOM series in IMAGE has several slices at the same position, "
        "but an image must be a single volume."
    )

    folder = scans.write_dicom(tmp_path / "sizes", scans.voxels())
    scans.write_dicom(folder, scans.voxels()[:4, :, :1])
    assert scans.rejected(folder) == (
        "The DICOM series in IMAGE must have grey slices of the same size, one per file."
    )

    folder = scans.write_dicom(tmp_path / "directions", scans.voxels())
    scans.write_dicom(folder, scans.voxels()[..., :1], **{"0020|0037": "1\\0\\0\\0\\1\\0"})
    assert scans.rejected(folder) == (
        "The DICOM series in IMAGE has slices of different orientation or pixel size."
    )

    folder = scans.write_dicom(tmp_path / "number", scans.voxels())
    for file in folder.iterdir():
        raw = file.read_bytes()
        start = raw.index(b"\x20\x00\x32\x00") + 8  # the value of Image Position (Patient)
        file.write_bytes(raw[:start] + b"?" + raw[start + 1 :])
    assert scans.rejected(folder) == "The DICOM series in IMAGE is damaged or cannot be read."

    folder = scans.write_dicom(tmp_path / "cut", scans.voxels())
    file = sorted(folder.iterdir())[-1]
    file.write_bytes(file.read_bytes()[:-40])
    assert scans.rejected(folder) == (
        f"IMAGE/{file.name} is damaged or is not an image of the DICOM series beside it."
    )


def test_dicom_is_preserved_exactly(tmp_path):
    volume = load_volume(scans.write_dicom(tmp_path / "series", scans.voxels(), intercept=-1024))
    image = scans.saved(tmp_path, volume)
    assert type(image) is nib.Nifti1Image
    assert np.array_equal(image.affine, volume.grid.matrix)
    assert np.array_equal(np.asarray(image.dataobj), scans.voxels())
