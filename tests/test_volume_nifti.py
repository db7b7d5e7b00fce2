import gzip

import nibabel as nib
import numpy as np
import pytest
import scans
import SimpleITK as sitk

from implicore.errors import BadInput
from implicore.grid import Grid
from implicore.model.volume import Volume, load_volume, save_volume


@pytest.mark.parametrize("dtype", ["u1", "i1", "<i2", ">i2", "u2"])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".NII"])
def test_small_integers_keep_their_type(tmp_path, dtype, suffix):
    data = scans.voxels(dtype, 0, 100)
    volume = load_volume(scans.write_nifti(tmp_path / f"scan{suffix}", data))
    assert np.array_equal(volume.data, data)
    assert volume.dtype == np.dtype(dtype).newbyteorder("=")
    assert volume.data.flags.c_contiguous and not volume.data.flags.writeable
    assert volume.grid == Grid.from_array(scans.SHAPE, scans.rounded(scans.affine()))
    assert volume.name == f"scan{suffix}"


@pytest.mark.parametrize(
    ("stored", "low", "high", "expected"),
    [
        ("i4", -5, 100, "i2"),
        ("i4", 0, 40000, "u2"),
        ("i4", -5, 40000, "i4"),
        ("u4", 0, 200, "i2"),
        ("u4", 0, 2**32 - 1, "f8"),
        ("i8", -(2**40), 2**40, "f8"),
        ("f4", -5, 100, "f4"),
        ("f8", -5, 100, "f8"),
    ],
)
def test_wide_types_become_the_narrowest_that_holds_them(tmp_path, stored, low, high, expected):
    data = scans.voxels(stored, low, high)
    data[0, 0, 0], data[-1, -1, -1] = low, high
    volume = load_volume(scans.write_nifti(tmp_path / "scan.nii", data))
    assert volume.dtype == np.dtype(expected)
    assert np.array_equal(volume.data, data)


@pytest.mark.parametrize(
    ("stored", "slope", "intercept", "expected"),
    [
        ("u2", 1, -1024, "i2"),
        ("i2", 1, -1024, "i2"),
        ("u1", 2, 0, "i2"),
        ("u1", -1, 0, "i2"),
        ("u1", 1, 5, "u1"),
        ("i2", 1000, 0, "i4"),
        ("i2", 0.5, 0, "f4"),
        ("i2", 1, 0.5, "f4"),
        ("i4", 0.5, 0, "f8"),
        ("f4", 2, 1, "f4"),
    ],
)
def test_scaling_is_applied(tmp_path, stored, slope, intercept, expected):
    data = scans.voxels(stored, 0, 250)
    volume = load_volume(scans.write_nifti(tmp_path / "ct.nii", data, None, slope, intercept))
    assert volume.dtype == np.dtype(expected)
    assert np.array_equal(volume.data, data.astype(np.float64) * slope + intercept)


def test_trailing_axes_of_length_one_are_dropped(tmp_path):
    data = scans.voxels()
    volume = load_volume(scans.write_nifti(tmp_path / "scan.nii", data[..., None, None]))
    assert np.array_equal(volume.data, data)


def test_rejects_truncated_files(tmp_path):
    path = scans.write_nifti(tmp_path / "scan.nii", scans.voxels())
    path.write_bytes(path.read_bytes()[:-1])
    assert (
        scans.rejected(path)
        == "IMAGE is truncated or damaged: its 6 x 7 x 5 voxels cannot be read."
    )
    path.write_bytes(path.read_bytes()[:400])
    assert scans.rejected(path) == "IMAGE is truncated: it does not hold its 6 x 7 x 5 voxels."
    path.write_bytes(path.read_bytes()[:300])
    assert scans.rejected(path) == "IMAGE is damaged or is not a NIfTI file."


def test_rejects_truncated_and_damaged_gzip(tmp_path):
    data = np.tile(scans.voxels(), (10, 10, 10))
    path = scans.write_nifti(tmp_path / "scan.nii.gz", data)
    whole = path.read_bytes()
    expected = "IMAGE is truncated or damaged: its 60 x 70 x 50 voxels cannot be read."
    for lost in (1, 8, 9, len(whole) // 2):
        path.write_bytes(whole[:-lost])
        assert scans.rejected(path) == expected
    damaged = bytearray(whole)
    damaged[-6] ^= 1  # in the checksum: the voxels can be read, but cannot be trusted
    path.write_bytes(damaged)
    assert scans.rejected(path) == expected


def test_rejects_a_size_that_the_file_cannot_hold(tmp_path):
    path = scans.write_nifti(tmp_path / "scan.nii", scans.voxels())
    scans.patch(path, 42, "<hhh", 32767, 32767, 32767)
    expected = "IMAGE is truncated: it does not hold its 32767 x 32767 x 32767 voxels."
    assert scans.rejected(path) == expected
    zipped = tmp_path / "scan.nii.gz"
    zipped.write_bytes(gzip.compress(path.read_bytes()))
    assert scans.rejected(zipped) == expected


@pytest.mark.parametrize(("shape", "count"), [((6, 7, 5, 3), 3), ((6, 7, 5, 1, 2), 2)])
def test_rejects_several_volumes(tmp_path, shape, count):
    path = scans.write_nifti(tmp_path / "scan.nii", np.zeros(shape, "u1"))
    size = " x ".join(map(str, shape))
    assert scans.rejected(path) == (
        f"IMAGE holds {count} volumes ({size} voxels), but an image must be a single volume."
    )


@pytest.mark.parametrize("length", [0, -3])
def test_rejects_an_empty_image(tmp_path, length):
    path = scans.patch(scans.write_nifti(tmp_path / "scan.nii", scans.voxels()), 42, "<h", length)
    assert scans.rejected(path) == f"IMAGE is empty: its size is {length} x 7 x 5 voxels."


def test_rejects_colours_and_complex_numbers(tmp_path):
    colours = np.zeros(scans.SHAPE, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    for data, kind in ((colours, "colours"), (np.zeros(scans.SHAPE, "c8"), "complex numbers")):
        path = scans.write_nifti(tmp_path / "scan.nii", data)
        assert (
            scans.rejected(path) == f"IMAGE holds {kind}, but only real intensities are supported."
        )


@pytest.mark.parametrize("name", ["out.nii", "out.nii.gz"])
def test_sform_is_preserved_exactly(tmp_path, name):
    volume = load_volume(scans.write_nifti(tmp_path / "scan.nii", scans.voxels()))
    image = scans.saved(tmp_path, volume, name=name)
    assert type(image) is nib.Nifti1Image
    assert image.affine.tobytes() == nib.load(tmp_path / "scan.nii").affine.tobytes()
    assert np.array_equal(np.asarray(image.dataobj), volume.data)
    assert image.get_data_dtype() == volume.dtype
    assert image.header.get_xyzt_units()[0] == "mm"
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (2, 2)


@pytest.mark.parametrize("qfac", [-1.0, 1.0])
@pytest.mark.parametrize("quaternion", [(0, 0, 0), (0, 0, 1), (0.3, -0.2, 0.1), (0.01, 0.02, 0.99)])
def test_qform_is_preserved_exactly(tmp_path, quaternion, qfac):
    volume = load_volume(scans.qform_only(tmp_path / "scan.nii", quaternion, qfac))
    image = scans.saved(tmp_path, volume)
    assert type(image) is nib.Nifti1Image
    assert np.array_equal(image.affine, nib.load(tmp_path / "scan.nii").affine)


def test_nifti2_is_preserved_exactly(tmp_path):
    # Sheared, too: only an sform can describe it.
    matrix = scans.affine() @ [[1, 0.1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    path = scans.write_nifti(tmp_path / "scan.nii", scans.voxels(), matrix, kind=nib.Nifti2Image)
    volume = load_volume(path)
    assert np.array_equal(volume.grid.matrix, matrix)
    image = scans.saved(tmp_path, volume)
    assert type(image) is nib.Nifti2Image
    assert np.array_equal(image.affine, matrix)
    assert int(image.header["qform_code"]) == 0

    image = scans.saved(tmp_path, volume, exact=False)
    assert type(image) is nib.Nifti1Image
    assert np.array_equal(image.affine, scans.rounded(matrix))


@pytest.mark.parametrize("source", ["sform", "qform", "dicom", "scaled", "plane"])
def test_itk_sees_the_same_geometry(tmp_path, source):
    if source == "dicom":
        volume = load_volume(scans.write_dicom(tmp_path / "series", scans.voxels()))
    elif source == "qform":
        volume = load_volume(scans.qform_only(tmp_path / "scan.nii"))
    else:
        volume = load_volume(scans.write_nifti(tmp_path / "scan.nii", scans.voxels()))
    grid = volume.grid
    if source == "scaled":
        grid = grid.scaled(1.7)
    elif source == "plane":
        grid = grid.plane("coronal", 21.0)
    save_volume(tmp_path / "out.nii", np.ones(grid.shape, "f4"), grid, exact=False)
    image = sitk.ReadImage(str(tmp_path / "out.nii"))
    assert image.GetSize() == grid.shape
    for index in ((0, 0, 0), tuple(n - 1 for n in grid.shape)):
        place = np.array(image.TransformIndexToPhysicalPoint(index)) * [-1, -1, 1]
        assert np.abs(grid.world(index) - place).max() < 1e-5


def test_a_degenerate_step_can_be_written(tmp_path):
    grid = Grid.from_array((3, 4, 1), np.diag([1.0, 2.0, 0.0, 1.0]))
    save_volume(tmp_path / "out.nii", np.ones(grid.shape, "f4"), grid, exact=True)
    assert np.array_equal(nib.load(tmp_path / "out.nii").affine, grid.matrix)


def test_same_image_same_bytes(tmp_path):
    volume = Volume(scans.voxels(), Grid.from_array(scans.SHAPE, scans.affine()), "scan")
    for name in ("one.nii.gz", "two.nii.gz"):
        save_volume(tmp_path / name, volume.data, volume.grid, exact=True)
    assert (tmp_path / "one.nii.gz").read_bytes() == (tmp_path / "two.nii.gz").read_bytes()
    # Neither name nor time in the gzip header (RFC 1952: flags, then four bytes of time).
    assert (tmp_path / "one.nii.gz").read_bytes()[3:8] == bytes(5)


def test_save_rejects_invalid_arguments(tmp_path):
    grid = Grid.from_array(scans.SHAPE, scans.affine())
    with pytest.raises(
        BadInput, match=r"^A volume is written as \.nii or \.nii\.gz, not as out\.mha\.$"
    ):
        save_volume(tmp_path / "out.mha", scans.voxels(), grid, exact=True)
    with pytest.raises(BadInput, match=r"^\S+out\.nii cannot be written: no such file or dir"):
        save_volume(tmp_path / "none" / "out.nii", scans.voxels(), grid, exact=True)
    with pytest.raises(
        ValueError, match=r"^The data's shape \(5, 7, 5\) must equal the grid's, \(6, 7, 5\)$"
    ):
        save_volume(tmp_path / "out.nii", scans.voxels()[1:], grid, exact=True)
    with pytest.raises(
        ValueError, match=r"^The data's shape \(5, 7, 5\) must equal the grid's, \(6, 7, 5\)$"
    ):
        Volume(scans.voxels()[1:], grid, "scan")
