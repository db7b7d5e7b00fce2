import gzip
import importlib.util
import struct
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from nibabel.quaternions import quat2mat
from PIL import Image

from implicore.errors import BadInput
from implicore.grid import Grid
from implicore.model.volume import (
    Volume,
    crop,
    load_volume,
    save_plane_png,
    save_volume,
    to_intensities,
)

_spec = importlib.util.spec_from_file_location(
    "datasets", Path(__file__).parents[1] / "bench" / "datasets.py"
)
datasets = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(datasets)

OBLIQUE = quat2mat([0.9, 0.2, -0.3, 0.1])
SHAPE = (6, 7, 5)


def affine(direction=OBLIQUE, size=(0.7, 0.9, 1.3), origin=(-11.5, 20.25, 7.1)):
    matrix = np.eye(4)
    matrix[:3, :3] = direction * np.array(size)
    matrix[:3, 3] = origin
    return matrix


def rounded(matrix):
    return np.float32(matrix).astype(np.float64)


def voxels(dtype=np.int16, low=-1024, high=3000, seed=0):
    return np.random.default_rng(seed).integers(low, high, SHAPE).astype(dtype)


def write_nifti(path, data, matrix=None, slope=None, intercept=None, kind=nib.Nifti1Image):
    image = kind(data, affine() if matrix is None else matrix, dtype=data.dtype)
    if slope is not None:
        image = kind(image.dataobj, image.affine, image.header)
        with open(path, "wb") as file:
            image.to_stream(file)
        # scl_slope and scl_inter of an uncompressed NIfTI-1 file
        patch(path, 112, "<ff", slope, intercept)
    else:
        nib.save(image, path)
    return path


def patch(path, offset, layout, *values):
    raw = bytearray(path.read_bytes())
    struct.pack_into(layout, raw, offset, *values)
    path.write_bytes(raw)
    return path


def write_dicom(folder, data, *, slope=1, intercept=0, position=None, series="1.2.3.4", **tags):
    """One file a slice; ``position`` maps the slice's number to its place in LPS mm."""
    folder.mkdir(exist_ok=True)
    lps = np.diag([-1, -1, 1, 1]) @ affine()
    position = position or (lambda k: lps[:3] @ [0, 0, k, 1])
    size = np.linalg.norm(lps[:3, :3], axis=0)
    for k in range(data.shape[2]):
        image = sitk.GetImageFromArray(np.ascontiguousarray(data[:, :, k].T)[None])
        image.SetSpacing(size)
        values = {
            "0008|0008": "ORIGINAL\\PRIMARY\\AXIAL",
            "0008|0018": f"{series}.{k + 1}",
            "0008|0060": "CT",
            "0020|000d": "1.2.3",
            "0020|000e": series,
            "0020|0013": str(k + 1),
            "0020|0032": "\\".join(f"{v:.12g}" for v in position(k)),
            "0020|0037": "\\".join(f"{v:.12g}" for v in (lps[:3, :2] / size[:2]).T.ravel()),
            "0028|1052": str(intercept),
            "0028|1053": str(slope),
        }
        if data.dtype.kind == "f":  # stored as int16
            values |= {"0028|0100": "16", "0028|0101": "16", "0028|0102": "15", "0028|0103": "1"}
        for key, value in (values | tags).items():
            image.SetMetaData(key, value)
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        # Named so that the order of the names is not the order of the slices.
        writer.SetFileName(str(folder / f"{series}-{(k * 3) % 7}.dcm"))
        writer.Execute(image)
    return folder


def refused(path):
    with pytest.raises(BadInput) as caught:
        load_volume(path)
    message = str(caught.value)
    assert message.endswith(".") and "\n" not in message and ". " not in message
    return message.replace(str(path), "IMAGE")


# ------------------------------------------------------------------------------ reading NIfTI


@pytest.mark.parametrize("dtype", ["u1", "i1", "<i2", ">i2", "u2"])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".NII"])
def test_small_integers_keep_their_type(tmp_path, dtype, suffix):
    data = voxels(dtype, 0, 100)
    volume = load_volume(write_nifti(tmp_path / f"scan{suffix}", data))
    assert np.array_equal(volume.data, data)
    assert volume.dtype == np.dtype(dtype).newbyteorder("=")
    assert volume.data.flags.c_contiguous and not volume.data.flags.writeable
    assert volume.grid == Grid.from_array(SHAPE, rounded(affine()))
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
    data = voxels(stored, low, high)
    data[0, 0, 0], data[-1, -1, -1] = low, high
    volume = load_volume(write_nifti(tmp_path / "scan.nii", data))
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
    data = voxels(stored, 0, 250)
    volume = load_volume(write_nifti(tmp_path / "ct.nii", data, None, slope, intercept))
    assert volume.dtype == np.dtype(expected)
    assert np.array_equal(volume.data, data.astype(np.float64) * slope + intercept)


def test_intensity_range(tmp_path):
    ranges = [
        load_volume(write_nifti(tmp_path / "scan.nii", voxels(dtype, 10, 100))).intensity_range
        for dtype in ("u1", "i2", "f4")
    ]
    data = voxels("i2", 10, 100)
    own = (float(data.min()), float(data.max()))
    assert ranges == [(0.0, 255.0), own, own]


def test_trailing_axes_of_length_one_are_dropped(tmp_path):
    data = voxels()
    volume = load_volume(write_nifti(tmp_path / "scan.nii", data[..., None, None]))
    assert np.array_equal(volume.data, data)


# ------------------------------------------------------------------------------ reading DICOM


def test_dicom_series_agrees_with_simpleitk(tmp_path):
    data = voxels()
    folder = write_dicom(tmp_path / "series", data, intercept=-1024)
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
    assert np.array_equal(volume.grid.matrix, rounded(affine()))


@pytest.mark.parametrize(
    ("data", "slope", "intercept", "expected"),
    [
        (voxels("u1", 0, 255), 1, 0, "u1"),
        (voxels("u2", 0, 60000), 1, 0, "u2"),
        (voxels("i2") * 2, 2, 0, "i2"),
        (voxels("f4") * 1.5, 1.5, 3, "f4"),
    ],
)
def test_dicom_types_and_rescaling(tmp_path, data, slope, intercept, expected):
    folder = write_dicom(tmp_path / "series", data, slope=slope, intercept=intercept)
    volume = load_volume(folder)
    assert volume.dtype == np.dtype(expected)
    assert np.array_equal(volume.data, data)


def test_dicom_slope_that_changes_between_slices(tmp_path):
    data = voxels("f4") * 1.5
    data[..., 0] = voxels()[..., 0]
    write_dicom(tmp_path / "series", data, slope=1.5)
    write_dicom(tmp_path / "series", data[..., :1], slope=1)
    assert np.array_equal(load_volume(tmp_path / "series").data, data)


def test_dicom_tilted_gantry(tmp_path):
    lps = np.diag([-1, -1, 1, 1]) @ affine()
    shift = np.array([0.25, 0.5, 0])
    folder = write_dicom(
        tmp_path / "series", voxels(), position=lambda k: lps[:3] @ [0, 0, k, 1] + shift * k
    )
    expected = affine()
    expected[:3, 2] -= shift  # RAS
    assert np.abs(load_volume(folder).grid.matrix - expected).max() < 1e-6


def test_dicom_stack_that_is_uneven_only_by_rounding(tmp_path):
    lps = np.diag([-1, -1, 1, 1]) @ affine()
    folder = write_dicom(
        tmp_path / "series", voxels(), position=lambda k: np.round(lps[:3] @ [0, 0, k, 1], 2)
    )
    load_volume(folder)


def test_dicom_refusals(tmp_path):
    lps = np.diag([-1, -1, 1, 1]) @ affine()
    start, step = lps[:3, 3], lps[:3, 2]

    (tmp_path / "empty").mkdir()
    assert refused(tmp_path / "empty") == "IMAGE holds no readable DICOM series."

    folder = write_dicom(tmp_path / "two", voxels())
    write_dicom(folder, voxels(), series="1.2.3.5")
    assert refused(folder) == "IMAGE holds 2 DICOM series, and an image must be a single one."

    folder = write_dicom(tmp_path / "one", voxels()[..., :1])
    assert refused(folder) == "IMAGE holds a single DICOM slice, not a volume."

    folder = write_dicom(
        tmp_path / "gap", voxels(), position=lambda k: start + step * (k + (k > 2))
    )
    assert refused(folder) == (
        "The DICOM series in IMAGE has missing or unevenly spaced slices: "
        "neighbours are 1.3 to 2.6 mm apart."
    )

    folder = write_dicom(tmp_path / "time", voxels(), position=lambda k: start + step * (k // 2))
    assert refused(folder) == (
        "The DICOM series in IMAGE has several slices at the same position, "
        "and an image must be a single volume."
    )

    folder = write_dicom(tmp_path / "sizes", voxels())
    write_dicom(folder, voxels()[:4, :, :1])
    assert refused(folder) == (
        "The DICOM series in IMAGE must be of grey slices of the same size, one per file."
    )

    folder = write_dicom(tmp_path / "directions", voxels())
    write_dicom(folder, voxels()[..., :1], **{"0020|0037": "1\\0\\0\\0\\1\\0"})
    assert refused(folder) == (
        "The DICOM series in IMAGE has slices of different orientation or pixel size."
    )

    folder = write_dicom(tmp_path / "number", voxels())
    for file in folder.iterdir():
        raw = file.read_bytes()
        start = raw.index(b"\x20\x00\x32\x00") + 8  # the value of Image Position (Patient)
        file.write_bytes(raw[:start] + b"?" + raw[start + 1 :])
    assert refused(folder) == "The DICOM series in IMAGE is damaged or cannot be read."

    folder = write_dicom(tmp_path / "cut", voxels())
    file = sorted(folder.iterdir())[-1]
    file.write_bytes(file.read_bytes()[:-40])
    assert refused(folder) == (
        f"IMAGE/{file.name} is damaged or is not an image of the DICOM series beside it."
    )


# ---------------------------------------------------------------------------------- refusals


def test_refuses_what_is_no_image(tmp_path):
    assert refused(tmp_path / "none.nii") == "IMAGE does not exist."

    text = tmp_path / "photo.jpg"
    text.write_text("hello")
    assert refused(text) == (
        "IMAGE is neither a NIfTI file (.nii, .nii.gz) nor a folder with a DICOM series."
    )
    for name in ("text.nii", "text.nii.gz"):
        (tmp_path / name).write_text("hello")
        assert refused(tmp_path / name) == "IMAGE is damaged or is not a NIfTI file."
    (tmp_path / "nothing.nii").touch()
    assert refused(tmp_path / "nothing.nii") == "IMAGE is damaged or is not a NIfTI file."


def test_refuses_truncated_files(tmp_path):
    path = write_nifti(tmp_path / "scan.nii", voxels())
    path.write_bytes(path.read_bytes()[:-1])
    assert refused(path) == "IMAGE is cut short or damaged: its 6 x 7 x 5 voxels cannot be read."
    path.write_bytes(path.read_bytes()[:400])
    assert refused(path) == "IMAGE is cut short: it does not hold its 6 x 7 x 5 voxels."
    path.write_bytes(path.read_bytes()[:300])
    assert refused(path) == "IMAGE is damaged or is not a NIfTI file."


def test_refuses_truncated_and_damaged_gzip(tmp_path):
    data = np.tile(voxels(), (10, 10, 10))
    path = write_nifti(tmp_path / "scan.nii.gz", data)
    whole = path.read_bytes()
    expected = "IMAGE is cut short or damaged: its 60 x 70 x 50 voxels cannot be read."
    for lost in (1, 8, 9, len(whole) // 2):
        path.write_bytes(whole[:-lost])
        assert refused(path) == expected
    damaged = bytearray(whole)
    damaged[-6] ^= 1  # in the checksum: the voxels can be read, but are not to be trusted
    path.write_bytes(damaged)
    assert refused(path) == expected


def test_refuses_a_size_that_the_file_cannot_hold(tmp_path):
    path = write_nifti(tmp_path / "scan.nii", voxels())
    patch(path, 42, "<hhh", 32767, 32767, 32767)
    expected = "IMAGE is cut short: it does not hold its 32767 x 32767 x 32767 voxels."
    assert refused(path) == expected
    zipped = tmp_path / "scan.nii.gz"
    zipped.write_bytes(gzip.compress(path.read_bytes()))
    assert refused(zipped) == expected


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((6, 7, 1), "IMAGE is a single slice of 6 x 7 x 1 voxels, not a volume"),
        ((1, 7, 5), "IMAGE is a single slice of 1 x 7 x 5 voxels, not a volume"),
        ((6, 7), "IMAGE is a single slice of 6 x 7 x 1 voxels, not a volume"),
    ],
)
def test_refuses_a_single_slice(tmp_path, shape, message):
    path = write_nifti(tmp_path / "scan.nii", np.arange(np.prod(shape), dtype="i2").reshape(shape))
    assert refused(path) == f"{message}: at least 2 are needed along each axis."


@pytest.mark.parametrize(("shape", "count"), [((6, 7, 5, 3), 3), ((6, 7, 5, 1, 2), 2)])
def test_refuses_several_volumes(tmp_path, shape, count):
    path = write_nifti(tmp_path / "scan.nii", np.zeros(shape, "u1"))
    size = " x ".join(map(str, shape))
    assert refused(path) == (
        f"IMAGE holds {count} volumes ({size} voxels), and an image must be a single one."
    )


@pytest.mark.parametrize("length", [0, -3])
def test_refuses_an_empty_image(tmp_path, length):
    path = patch(write_nifti(tmp_path / "scan.nii", voxels()), 42, "<h", length)
    assert refused(path) == f"IMAGE is empty: its size is {length} x 7 x 5 voxels."


def test_refuses_colours_and_complex_numbers(tmp_path):
    colours = np.zeros(SHAPE, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    for data, kind in ((colours, "colours"), (np.zeros(SHAPE, "c8"), "complex numbers")):
        path = write_nifti(tmp_path / "scan.nii", data)
        assert refused(path) == f"IMAGE holds {kind}, and only real intensities are supported."


def test_refuses_values_that_are_not_finite(tmp_path):
    data = voxels("f4")
    data[1, 2, 3] = np.nan
    path = write_nifti(tmp_path / "scan.nii", data)
    assert refused(path) == "IMAGE has 1 voxel with a value that is not finite (NaN or infinite)."
    data[0, :, 0] = -np.inf
    path = write_nifti(tmp_path / "scan.nii", data)
    assert refused(path) == "IMAGE has 8 voxels with a value that is not finite (NaN or infinite)."
    data = voxels("f8")
    data[0, 0, 0], data[1, 0, 0] = 1e308, -1e308
    path = write_nifti(tmp_path / "scan.nii", data)
    assert refused(path) == "IMAGE has intensities from -1e+308 to 1e+308, which is too wide."


def test_refuses_a_constant_image(tmp_path):
    path = write_nifti(tmp_path / "scan.nii", np.full(SHAPE, 7, "i2"))
    assert refused(path) == "IMAGE is constant: every voxel is 7."


def test_refuses_an_invalid_geometry(tmp_path):
    expected = (
        "IMAGE has no valid geometry: its affine is singular or has numbers that are not finite."
    )
    for column in ([0, 0, 0], [np.nan, 0, 1], [np.inf, 0, 1], [0.7, 0, 0], [0.7, 1e-7, 0]):
        matrix = affine(np.eye(3), (1, 1, 1))
        matrix[:3, 0] = [1, 0, 0]
        path = write_nifti(tmp_path / "scan.nii", voxels(), matrix)
        raw = np.array([[1, column[0], 0, 0], [0, column[1], 0, 0], [0, column[2], 1, 0]])
        patch(path, 280, "<12f", *raw.ravel())  # srow_x, srow_y, srow_z
        assert refused(path) == expected

    path = write_nifti(tmp_path / "scan.nii", voxels())
    patch(path, 252, "<hh", 1, 0)  # qform only
    patch(path, 80, "<f", 0.0)  # pixdim[1]
    assert refused(path) == "IMAGE has no valid geometry: a voxel size is zero."
    path = write_nifti(tmp_path / "scan.nii", voxels())
    patch(path, 123, "<B", 3)  # xyzt_units
    assert refused(path) == (
        "IMAGE gives its geometry in micrometres, and only millimetres are supported."
    )


def test_libraries_stay_silent(tmp_path):
    path = write_nifti(tmp_path / "scan.nii", voxels())
    patch(path, 252, "<hh", 1, 0)
    patch(path, 80, "<f", -1.0)  # about which nibabel has something to say
    series = write_dicom(tmp_path / "series", voxels()[..., :3])
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


# -------------------------------------------------------------------------------------- crop


def test_crop_keeps_every_voxel_in_its_place(tmp_path):
    volume = load_volume(write_nifti(tmp_path / "scan.nii", voxels()))
    part = crop(volume, "2:6,1:4,0:5")
    assert np.array_equal(part.data, volume.data[2:6, 1:4])
    assert part.grid.shape == (4, 3, 5)
    # nibabel's own slicer, which forms the same sums
    expected = nib.load(tmp_path / "scan.nii").slicer[2:6, 1:4, 0:5].affine
    assert np.allclose(part.grid.matrix, expected, rtol=0, atol=1e-14)
    assert np.array_equal(part.grid.matrix[:, :3], volume.grid.matrix[:, :3])
    assert crop(volume, "0:6,0:7,0:5").grid == volume.grid


@pytest.mark.parametrize("text", ["", "1:2,3:4", "0:6,0:7,0:-1", ":,:,:", "0:6,0:7,0:5 "])
def test_crop_syntax(text):
    with pytest.raises(
        BadInput, match=r"^The crop must have the form X0:X1,Y0:Y1,Z0:Z1, not '.*'\.$"
    ):
        crop(Volume(voxels(), Grid.from_array(SHAPE, affine()), "scan.nii"), text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "0:6,3:8,0:5",
            r"^The crop 3:8 along Y is empty or reaches beyond the 7 voxels of scan\.nii\.$",
        ),
        (
            "4:4,0:7,0:5",
            r"^The crop 4:4 along X is empty or reaches beyond the 6 voxels of scan\.nii\.$",
        ),
        (
            "0:6,0:7,2:3",
            r"^The crop 0:6,0:7,2:3 of scan\.nii is a single slice of 6 x 7 x 1 voxels, "
            r"not a volume: at least 2 are needed along each axis\.$",
        ),
    ],
)
def test_crop_range(text, message):
    with pytest.raises(BadInput, match=message):
        crop(Volume(voxels(), Grid.from_array(SHAPE, affine()), "scan.nii"), text)


# ----------------------------------------------------------------------------------- writing


def saved(tmp_path, volume, *, exact=True, name="out.nii"):
    save_volume(tmp_path / name, volume.data, volume.grid, exact=exact)
    return nib.load(tmp_path / name)


def qform_only(path, quaternion=(0.3, -0.2, 0.1), qfac=-1.0):
    write_nifti(path, voxels())
    patch(path, 252, "<hh", 1, 0)
    patch(path, 256, "<6f", *quaternion, 1.1, -2.2, 3.3)
    return patch(path, 76, "<4f", qfac, 0.957, 0.957, 1.5)


@pytest.mark.parametrize("name", ["out.nii", "out.nii.gz"])
def test_sform_comes_back_to_the_last_bit(tmp_path, name):
    volume = load_volume(write_nifti(tmp_path / "scan.nii", voxels()))
    image = saved(tmp_path, volume, name=name)
    assert type(image) is nib.Nifti1Image
    assert image.affine.tobytes() == nib.load(tmp_path / "scan.nii").affine.tobytes()
    assert np.array_equal(np.asarray(image.dataobj), volume.data)
    assert image.get_data_dtype() == volume.dtype
    assert image.header.get_xyzt_units()[0] == "mm"
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (2, 2)


@pytest.mark.parametrize("qfac", [-1.0, 1.0])
@pytest.mark.parametrize("quaternion", [(0, 0, 0), (0, 0, 1), (0.3, -0.2, 0.1), (0.01, 0.02, 0.99)])
def test_qform_comes_back_to_the_last_bit(tmp_path, quaternion, qfac):
    volume = load_volume(qform_only(tmp_path / "scan.nii", quaternion, qfac))
    image = saved(tmp_path, volume)
    assert type(image) is nib.Nifti1Image
    assert np.array_equal(image.affine, nib.load(tmp_path / "scan.nii").affine)


def test_nifti2_comes_back_to_the_last_bit(tmp_path):
    # Sheared, too: only an sform can describe it.
    matrix = affine() @ [[1, 0.1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    path = write_nifti(tmp_path / "scan.nii", voxels(), matrix, kind=nib.Nifti2Image)
    volume = load_volume(path)
    assert np.array_equal(volume.grid.matrix, matrix)
    image = saved(tmp_path, volume)
    assert type(image) is nib.Nifti2Image
    assert np.array_equal(image.affine, matrix)
    assert int(image.header["qform_code"]) == 0

    image = saved(tmp_path, volume, exact=False)
    assert type(image) is nib.Nifti1Image
    assert np.array_equal(image.affine, rounded(matrix))


def test_dicom_comes_back_to_the_last_bit(tmp_path):
    volume = load_volume(write_dicom(tmp_path / "series", voxels(), intercept=-1024))
    image = saved(tmp_path, volume)
    assert type(image) is nib.Nifti1Image
    assert np.array_equal(image.affine, volume.grid.matrix)
    assert np.array_equal(np.asarray(image.dataobj), voxels())


@pytest.mark.parametrize("source", ["sform", "qform", "dicom", "scaled", "plane"])
def test_itk_sees_the_same_geometry(tmp_path, source):
    if source == "dicom":
        volume = load_volume(write_dicom(tmp_path / "series", voxels()))
    elif source == "qform":
        volume = load_volume(qform_only(tmp_path / "scan.nii"))
    else:
        volume = load_volume(write_nifti(tmp_path / "scan.nii", voxels()))
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
    volume = Volume(voxels(), Grid.from_array(SHAPE, affine()), "scan")
    for name in ("one.nii.gz", "two.nii.gz"):
        save_volume(tmp_path / name, volume.data, volume.grid, exact=True)
    assert (tmp_path / "one.nii.gz").read_bytes() == (tmp_path / "two.nii.gz").read_bytes()
    # Neither name nor time in the gzip header (RFC 1952: flags, then four bytes of time).
    assert (tmp_path / "one.nii.gz").read_bytes()[3:8] == bytes(5)


def test_save_refusals(tmp_path):
    grid = Grid.from_array(SHAPE, affine())
    with pytest.raises(
        BadInput, match=r"^A volume is written as \.nii or \.nii\.gz, not as out\.mha\.$"
    ):
        save_volume(tmp_path / "out.mha", voxels(), grid, exact=True)
    with pytest.raises(BadInput, match=r"^\S+out\.nii cannot be written: no such file or dir"):
        save_volume(tmp_path / "none" / "out.nii", voxels(), grid, exact=True)
    with pytest.raises(
        ValueError, match=r"^The data's shape \(5, 7, 5\) must be the grid's, \(6, 7, 5\)$"
    ):
        save_volume(tmp_path / "out.nii", voxels()[1:], grid, exact=True)
    with pytest.raises(
        ValueError, match=r"^The data's shape \(5, 7, 5\) must be the grid's, \(6, 7, 5\)$"
    ):
        Volume(voxels()[1:], grid, "scan")


# ------------------------------------------------------------------------------- intensities


def test_rounding_is_half_up_and_clipped():
    values = np.array([-300.5, -0.5, -0.4, 0.5, 1.5, 2.49, 254.5, 255.4, 1e30, -1e30])
    assert to_intensities(values, np.uint8).tolist() == [0, 0, 0, 1, 2, 2, 255, 255, 255, 0]
    assert to_intensities(values, np.int16).tolist() == [
        *(-300, 0, 0, 1, 2, 2, 255, 255, 32767, -32768)
    ]
    # The largest float below one half: adding 0.5 would round it up to 1.
    assert to_intensities(np.nextafter(0.5, 0), np.int16) == 0
    assert to_intensities(np.float32(3e9), np.int32) == 2**31 - 1
    assert to_intensities(np.array([-1, 300]), np.uint8).tolist() == [0, 255]
    floats = np.array([0.5, -7.25])
    assert to_intensities(floats, np.float32).tolist() == [0.5, -7.25]


def test_png_is_upright(tmp_path):
    plane = np.zeros((4, 3))
    plane[3, 2] = 100.0  # right, top
    plane[0, 0] = -50.0  # left, bottom
    save_plane_png(tmp_path / "plane.png", plane, -50.0, 100.0)
    picture = Image.open(tmp_path / "plane.png")
    assert picture.mode == "L"
    assert np.asarray(picture).tolist() == [[85, 85, 85, 255], [85, 85, 85, 85], [0, 85, 85, 85]]


def test_png_refusals(tmp_path):
    with pytest.raises(BadInput, match=r"^A plane is written as \.png, not as plane\.jpg\.$"):
        save_plane_png(tmp_path / "plane.jpg", np.zeros((4, 3)), 0, 1)
    with pytest.raises(ValueError, match=r"^The darkest value, 1, must be below the brightest, 1$"):
        save_plane_png(tmp_path / "plane.png", np.zeros((4, 3)), 1, 1)


# -------------------------------------------------------------------------------- real images


def installed(load):
    try:
        return load()
    except BadInput as error:
        pytest.skip(str(error))


def test_ch2():
    volume = installed(datasets.ch2_crop)
    assert (volume.grid.shape, volume.dtype) == ((64, 64, 64), np.uint8)
    assert volume.grid.affine == (
        *((1.0, 0.0, 0.0, -32.0), (0.0, 1.0, 0.0, -49.0), (0.0, 0.0, 1.0, -13.0)),
        (0.0, 0.0, 0.0, 1.0),
    )


def test_cranium_is_in_hounsfield_units(tmp_path):
    volume = installed(datasets.cranium)
    assert (volume.grid.shape, volume.dtype) == ((256, 256, 108), np.int16)
    assert volume.intensity_range == (-1024.0, 2986.0)
    image = saved(tmp_path, volume, name="ct.nii.gz")
    again = load_volume(tmp_path / "ct.nii.gz")
    assert np.array_equal(again.data, volume.data)
    assert again.grid == volume.grid
    assert type(image) is nib.Nifti1Image


def test_missing_dataset_names_its_package(monkeypatch):
    monkeypatch.setattr(datasets, "CRANIUM", Path("/nowhere/Cranium.inv3"))
    with pytest.raises(
        BadInput,
        match=r"^/nowhere/Cranium\.inv3 is missing: "
        r"install it with apt-get install invesalius-examples\.$",
    ):
        datasets.cranium()
