"""Medical images in and out: NIfTI files, DICOM series, PNG planes.

An image keeps its true intensities (a CT is in Hounsfield units) and its exact geometry. What
cannot be used is refused here, with one sentence, before anything is computed from it.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from PIL import Image

from implicore.atomic import atomic_write
from implicore.errors import BadInput
from implicore.grid import Grid

from .bundled import bundled_mri

SLICE_TOLERANCE = 0.01
"""How far, in slice distances, a DICOM slice may lie from its place in an even stack.

Positions are stored as rounded decimals, so the stack is never perfectly even."""

_LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Volume:
    """A three-dimensional image.

    Parameters
    ----------
    data : ndarray, shape (X, Y, Z)
        Intensities in their own unit, integer or float, in native byte order. Made read-only.
    grid : Grid
        Where the voxels are, of the same shape.
    name : str
        The file or folder it came from, without its path.
    """

    data: np.ndarray
    grid: Grid
    name: str

    def __post_init__(self):
        if self.data.shape != self.grid.shape:
            raise ValueError(
                f"The data's shape {self.data.shape} must be the grid's, {self.grid.shape}"
            )
        self.data.flags.writeable = False

    @property
    def dtype(self) -> np.dtype:
        """Type of the intensities."""
        return self.data.dtype

    @cached_property
    def intensity_range(self) -> tuple[float, float]:
        """The intensities (low, high) that the network's 0 and 1 stand for.

        (0, 255) for uint8, so that PSNR has its customary peak; else the image's own extremes.
        """
        if self.dtype == np.uint8:
            return 0.0, 255.0
        return float(self.data.min()), float(self.data.max())


# ---------------------------------------------------------------------------------------- in


def load_volume(path) -> Volume:
    """Read a NIfTI file (.nii, .nii.gz) or a folder that holds one DICOM series.

    The intensities have the file's scaling applied. They stay integers where slope and intercept
    are whole numbers (in the stored type if it holds them, else in int16, uint16 or int32), and
    become float32 otherwise, or float64 where the file itself stores more than 24 bits.

    A NIfTI affine is kept to the last bit. That of a DICOM series, whose numbers are decimals, is
    rounded to float32, the precision of NIfTI-1 (1e-5 mm in a scan of the body): otherwise no file
    that ITK can read could carry it unchanged.

    Raises
    ------
    BadInput
        The image is missing, damaged, of a kind that is not supported, or unusable: not three-
        dimensional, empty, constant, with voxels that are not finite, without a valid geometry.
    """
    path = Path(path)
    if not path.exists():
        raise BadInput(f"{path} does not exist.")
    if path.is_dir():
        read = _read_dicom
    elif path.name.lower().endswith((".nii", ".nii.gz")):
        read = _read_nifti
    else:
        raise BadInput(
            f"{path} is neither a NIfTI file (.nii, .nii.gz) nor a folder with a DICOM series."
        )
    with _quiet_libraries():
        data, matrix = read(path)
    _refuse_unusable(data, str(path))
    columns = matrix[:3, :3]
    # Columns of unit length, so that the determinant is the same in any unit of length.
    lengths = np.linalg.norm(columns, axis=0)
    if not (np.isfinite(matrix).all() and lengths.all()) or (
        abs(np.linalg.det(columns / lengths)) < 1e-6
    ):
        raise BadInput(
            f"{path} has no valid geometry: its affine is singular or has numbers that are not "
            "finite."
        )
    return Volume(data, Grid.from_array(data.shape, matrix), path.resolve().name)


def crop(volume: Volume, region: str) -> Volume:
    """Cut out the voxels ``"X0:X1,Y0:Y1,Z0:Z1"`` (indices from 0, ends excluded).

    Every remaining voxel keeps its place in the world.

    Raises
    ------
    BadInput
        The region is not of this form, not inside the image, or not usable as an image.
    """
    match = re.fullmatch(r"(\d+):(\d+),(\d+):(\d+),(\d+):(\d+)", region, re.ASCII)
    if not match:
        raise BadInput(f"The crop must have the form X0:X1,Y0:Y1,Z0:Z1, not {region!r}.")
    ends = [int(text) for text in match.groups()]
    first, last = ends[::2], ends[1::2]
    for axis, low, high, count in zip("XYZ", first, last, volume.grid.shape, strict=True):
        if not low < high <= count:
            raise BadInput(
                f"The crop {low}:{high} along {axis} is empty or reaches beyond "
                f"the {count} voxels of {volume.name}."
            )
    data = volume.data[tuple(map(slice, first, last))].copy()
    _refuse_unusable(data, f"The crop {region} of {volume.name}")
    matrix = volume.grid.matrix.copy()
    matrix[:3, 3] = volume.grid.world(first)
    return Volume(data, Grid.from_array(data.shape, matrix), volume.name)


def load_source(source: dict, hint: str = "Name it with --image.") -> Volume:
    """The image that a model's record of it, or the user, names.

    Parameters
    ----------
    source : dict
        ``path``, none for the bundled MRI; ``crop``, if there is one; ``sha256``, if it is a
        model's record.
    hint : str
        What to do if a model's image is not where it was.
    """
    path = source.get("path")
    try:
        volume = load_volume(bundled_mri() if path is None else path)
    except BadInput as error:
        if "sha256" in source:
            raise BadInput(
                f"The image that the model was trained on cannot be used ({error}) {hint}"
            ) from None
        raise
    return crop(volume, source["crop"]) if source.get("crop") else volume


@contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Keep the libraries' warnings off stderr: what matters of them is checked here."""
    logger, shown = nib.imageglobals.logger, sitk.ProcessObject.GetGlobalWarningDisplay()
    disabled = logger.disabled
    logger.disabled = True
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        logger.disabled = disabled
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)


def _refuse_unusable(data: np.ndarray, label: str) -> None:
    if min(data.shape) == 1:
        raise BadInput(
            f"{label} is a single slice of {_times(data.shape)} voxels, not a volume: "
            "at least 2 are needed along each axis."
        )
    if data.dtype.kind == "f":
        bad = data.size - int(np.count_nonzero(np.isfinite(data)))
        if bad:
            raise BadInput(
                f"{label} has {bad} {'voxel' if bad == 1 else 'voxels'} "
                "with a value that is not finite (NaN or infinite)."
            )
    low, high = data.min(), data.max()
    if low == high:
        raise BadInput(f"{label} is constant: every voxel is {low:g}.")
    if not np.isfinite(float(high) - float(low)):
        raise BadInput(f"{label} has intensities from {low:g} to {high:g}, which is too wide.")


def _read_nifti(path: Path) -> tuple[np.ndarray, np.ndarray]:
    damaged = BadInput(f"{path} is damaged or is not a NIfTI file.")
    try:
        image = nib.load(path)
        with nib.openers.ImageOpener(path) as file:
            stored = type(image.header).from_fileobj(file, check=False)
        shape, dtype, matrix = image.shape, image.get_data_dtype(), image.affine
    except PermissionError as error:
        raise BadInput(f"{path} cannot be read: permission denied.") from error
    except Exception as error:  # the library may raise almost anything on a damaged file
        raise damaged from error
    if not isinstance(image, nib.Nifti1Image):  # which NIfTI-2 images are, too
        raise damaged

    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if min(shape, default=0) < 1:
        raise BadInput(f"{path} is empty: its size is {_times(shape) or 0} voxels.")
    if len(shape) > 3:
        raise BadInput(
            f"{path} holds {np.prod(shape[3:])} volumes ({_times(shape)} voxels), "
            "and an image must be a single one."
        )
    shape += (1,) * (3 - len(shape))
    if dtype.kind not in "iuf":
        kind = "complex numbers" if dtype.kind == "c" else "colours"
        raise BadInput(f"{path} holds {kind}, and only real intensities are supported.")
    if stored["xyzt_units"] & 7 in (1, 3):
        unit = "metres" if stored["xyzt_units"] & 7 == 1 else "micrometres"
        raise BadInput(f"{path} gives its geometry in {unit}, and only millimetres are supported.")
    if stored["sform_code"] == 0 and not stored["pixdim"][1:4].all():
        # The library would quietly make it 1 mm.
        raise BadInput(f"{path} has no valid geometry: a voxel size is zero.")

    # Checked before reading, so that a damaged size cannot ask for all the memory there is;
    # deflate packs at most 1032 to 1.
    zipped = path.name.lower().endswith(".gz")
    promised = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if promised > path.stat().st_size * (1032 if zipped else 1):
        raise BadInput(f"{path} is cut short: it does not hold its {_times(shape)} voxels.")
    slope, intercept = image.dataobj.slope, image.dataobj.inter
    whole = dtype.kind in "iu" and float(slope).is_integer() and float(intercept).is_integer()
    try:
        if zipped:
            with gzip.open(path) as file:  # the checksum is only looked at when the end is reached
                while file.read(1 << 20):
                    pass
        if whole:
            data = np.asarray(image.dataobj.get_unscaled())
        else:
            data = np.asarray(image.dataobj, dtype=np.float64)
    except Exception as error:
        raise BadInput(
            f"{path} is cut short or damaged: its {_times(shape)} voxels cannot be read."
        ) from error
    data = data.reshape(shape)
    if whole:
        return _integers(data, dtype, int(slope), int(intercept)), matrix
    small = dtype.itemsize <= 2 or dtype == np.float32
    return np.ascontiguousarray(data, dtype=np.float32 if small else np.float64), matrix


def _integers(data: np.ndarray, stored: np.dtype, slope: int, intercept: int) -> np.ndarray:
    """Rescale integers and give them the narrowest sensible type that holds them all."""
    low, high = sorted(int(v) * slope + intercept for v in (data.min(), data.max()))
    stored = np.dtype(stored).newbyteorder("=")
    kept = [stored] if stored.itemsize <= 2 else []
    for dtype in (*kept, np.int16, np.uint16, np.int32, np.float64):
        if dtype is np.float64 or (np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max):
            break
    if (slope, intercept) != (1, 0):
        wide = np.int64 if dtype is not np.float64 else np.float64
        data = data.astype(wide) * slope + intercept
    return np.ascontiguousarray(data, dtype=dtype)


def _read_dicom(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        return _read_series(folder)
    except BadInput:
        raise
    except Exception as error:  # the library raises RuntimeError, a malformed number ValueError
        raise BadInput(f"The DICOM series in {folder} is damaged or cannot be read.") from error


def _read_series(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if not series:
        raise BadInput(f"{folder} holds no readable DICOM series.")
    if len(series) > 1:
        raise BadInput(
            f"{folder} holds {len(series)} DICOM series, and an image must be a single one."
        )
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series[0])
    # The library leaves out what it cannot read, so a damaged file would be a slice less.
    known = {Path(name).name for name in names}
    for file in sorted(folder.iterdir()):
        if file.name not in {*known, "DICOMDIR"} and _is_dicom(file):
            raise BadInput(f"{file} is damaged or is not an image of the DICOM series beside it.")
    slices = [_DicomSlice.read(name) for name in names]
    first = slices[0]
    if any(s.size != first.size or s.size[2] != 1 or s.components != 1 for s in slices):
        raise BadInput(
            f"The DICOM series in {folder} must be of grey slices of the same size, one per file."
        )
    if len(slices) == 1:
        raise BadInput(f"{folder} holds a single DICOM slice, not a volume.")
    if any(s.position is None for s in slices):
        raise BadInput(f"The DICOM series in {folder} has slices without a position.")
    if not all(np.allclose(s.axes, first.axes, rtol=0, atol=1e-4) for s in slices):
        raise BadInput(
            f"The DICOM series in {folder} has slices of different orientation or pixel size."
        )

    normal = np.cross(*first.axes)
    slices.sort(key=lambda s: float(normal @ s.position))
    positions = np.array([s.position for s in slices])
    gaps = np.linalg.norm(np.diff(positions, axis=0), axis=1)
    if not gaps.all():
        raise BadInput(
            f"The DICOM series in {folder} has several slices at the same position, "
            "and an image must be a single volume."
        )
    # From the slices' positions and not from the normal: with a tilted gantry they differ.
    step = (positions[-1] - positions[0]) / len(gaps)
    expected = positions[0] + np.arange(len(slices))[:, None] * step
    off = np.linalg.norm(positions - expected, axis=1).max()
    if off > SLICE_TOLERANCE * np.linalg.norm(step):
        raise BadInput(
            f"The DICOM series in {folder} has missing or unevenly spaced slices: "
            f"neighbours are {gaps.min():g} to {gaps.max():g} mm apart."
        )

    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([s.name for s in slices])
    if any(s.scaling != first.scaling for s in slices):
        # Else the first slice alone would decide the type, and truncate the others.
        reader.SetOutputPixelType(sitk.sitkFloat64)
    image = reader.Execute()  # owns the voxels that the view shows
    data = sitk.GetArrayViewFromImage(image).transpose(2, 1, 0)
    if data.dtype.kind == "f":
        data = np.ascontiguousarray(data, dtype=np.float32)
    else:
        data = _integers(data, data.dtype, 1, 0)

    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([*first.axes, step], axis=1) * _LPS_TO_RAS[:, None]
    matrix[:3, 3] = positions[0] * _LPS_TO_RAS
    return data, matrix.astype(np.float32).astype(np.float64)


def _is_dicom(file: Path) -> bool:
    if not file.is_file():
        return False
    with open(file, "rb") as stream:
        return stream.read(132)[128:] == b"DICM"


@dataclass(frozen=True)
class _DicomSlice:
    """What the header of one file says."""

    name: str
    size: tuple[int, ...]
    components: int
    position: np.ndarray | None
    """Centre of the first voxel, LPS mm."""
    axes: np.ndarray
    """(2, 3): from one voxel to the next along a row and along a column, LPS mm."""
    scaling: tuple[str, str]

    @classmethod
    def read(cls, name: str) -> _DicomSlice:
        reader = sitk.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileName(name)
        reader.ReadImageInformation()

        def tag(key):
            return reader.GetMetaData(key).strip() if reader.HasMetaDataKey(key) else ""

        position = np.array([float(t) for t in tag("0020|0032").split("\\") if t])
        direction = np.array(reader.GetDirection()).reshape(3, 3)
        return cls(
            name=name,
            size=(*reader.GetSize(), 1)[:3],
            components=reader.GetNumberOfComponents(),
            position=position if position.shape == (3,) else None,
            axes=(direction[:, :2] * reader.GetSpacing()[:2]).T,
            scaling=(tag("0028|1053"), tag("0028|1052")),
        )


def _times(shape) -> str:
    return " x ".join(str(n) for n in shape)


# --------------------------------------------------------------------------------------- out


def to_intensities(values, dtype) -> np.ndarray:
    """Cast floats to an image's own type: integers are rounded half up and clipped.

    Exact for every float: no sum is formed that could itself be rounded.
    """
    values, dtype = np.asarray(values), np.dtype(dtype)
    if dtype.kind == "f":
        return values.astype(dtype)
    # Wide enough for the type's limits: float32 does not hold the largest int32.
    values = values.astype(np.result_type(values, dtype), copy=False)
    if values.dtype.kind == "f":
        low = np.floor(values)
        values = low + (values - low >= 0.5)
    limits = np.iinfo(dtype)
    return np.clip(values, limits.min, limits.max).astype(dtype)


def save_volume(path, data: np.ndarray, grid: Grid, *, exact: bool) -> None:
    """Write a NIfTI file (.nii, .nii.gz), atomically; the same input gives the same bytes.

    The file is NIfTI-1, which every tool reads and which stores an affine as float32: as the sform
    if that is exact, else as the qform if that is. What neither holds is either rounded to
    float32 (1e-5 mm in a scan of the body) or, if ``exact``, written as NIfTI-2, which stores
    float64 but which ITK-based tools cannot read.

    Parameters
    ----------
    path : path-like
        Must end in .nii or .nii.gz.
    data : ndarray, shape (X, Y, Z)
        Stored in its own type, without scaling.
    grid : Grid
        Where the voxels are, of the same shape.
    exact : bool
        Whether ``nibabel.load(path).affine`` must return the grid's affine to the last bit.

    Raises
    ------
    BadInput
        The ending is another one, or the file cannot be written.
    """
    path = Path(path)
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        raise BadInput(f"A volume is written as .nii or .nii.gz, not as {path.name}.")
    if data.shape != grid.shape:
        raise ValueError(f"The data's shape {data.shape} must be the grid's, {grid.shape}")
    image = _nifti_image(data, grid, exact)
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        if path.name.lower().endswith(".gz"):
            # Without the name and time that a gzip header usually has.
            with gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as zipped:
                image.to_stream(zipped)
        else:
            image.to_stream(file)


def _nifti_image(data: np.ndarray, grid: Grid, exact: bool) -> nib.Nifti1Image:
    image = _with_forms(nib.Nifti1Image, data, grid)
    if np.array_equal(image.get_sform(), grid.matrix):
        return image
    if np.array_equal(image.get_qform(), grid.matrix):
        image.set_sform(None, 0)
        return image
    return _with_forms(nib.Nifti2Image, data, grid) if exact else image


def _with_forms(kind, data: np.ndarray, grid: Grid) -> nib.Nifti1Image:
    """An image with both an sform and, where it can describe the grid, a qform."""
    code = 2  # NIFTI_XFORM_ALIGNED_ANAT: in the coordinates of another image, the source
    image = kind(data, None, dtype=data.dtype)
    image.header.set_xyzt_units("mm")
    image.header.set_zooms([size or 1.0 for size in grid.voxel_size])
    image.set_sform(grid.matrix, code)
    if all(grid.voxel_size):
        image.set_qform(grid.matrix, code)
    if not np.allclose(image.get_qform(), grid.matrix, rtol=0, atol=1e-3):
        image.set_qform(None, 0)  # sheared, or a single layer of no thickness
    return image


def save_plane_png(path, data: np.ndarray, low: float, high: float) -> None:
    """Write a plane as an 8-bit grey PNG, atomically.

    Parameters
    ----------
    path : path-like
        Must end in .png.
    data : ndarray, shape (columns, rows)
        As ``Grid.plane`` orders it: index 0 grows to the subject's right (in a sagittal plane, to
        the front), index 1 to the front or to the head. The picture shows index 0 growing to the
        right and index 1 growing upwards, so the nose or the vertex is at the top and the
        subject's right is at the viewer's right. Pixels are square.
    low, high : float
        The intensities that become black and white.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise BadInput(f"A plane is written as .png, not as {path.name}.")
    if not low < high:
        raise ValueError(f"The darkest value, {low}, must be below the brightest, {high}")
    grey = (np.asarray(data, dtype=np.float64) - low) * (255 / (high - low))
    with atomic_write(path) as temporary:
        Image.fromarray(to_intensities(grey, np.uint8).T[::-1]).save(temporary, format="PNG")
