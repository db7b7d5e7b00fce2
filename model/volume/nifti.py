"""Reading and writing of NIfTI files."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

import nibabel as nib
import numpy as np

from implicore.atomic import atomic_write
from implicore.errors import BadInput
from implicore.grid import Grid

from .image import rescale_integers, times

ENDINGS = (".nii", ".nii.gz")

_DEFLATE_RATIO = 1032
"""Maximum compression ratio of gzip."""


def read_nifti(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read a NIfTI-1 or NIfTI-2 file, compressed or not.

    Returns
    -------
    ndarray, shape (X, Y, Z)
        Intensities with the file's scaling applied.
    float64 array, shape (4, 4)
        The exact affine, index to world (RAS+ mm).

    Raises
    ------
    BadInput
        If the file is damaged or truncated, or is not one volume of real numbers in millimetres.
    """
    with _quiet():
        image = _open(path)
        shape = _shape(image, path)
        return _voxels(image, shape, path).reshape(shape), image.affine


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep nibabel's warnings off stderr; everything that matters is checked here."""
    logger = nib.imageglobals.logger
    disabled = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = disabled


def _open(path: Path) -> nib.Nifti1Image:
    """Open a file without reading its voxels, and check the type and geometry in its header."""
    damaged = BadInput(f"{path} is damaged or is not a NIfTI file.")
    try:
        image = nib.load(path)
        with nib.openers.ImageOpener(path) as file:
            stored = type(image.header).from_fileobj(file, check=False)
        dtype, _ = image.get_data_dtype(), image.affine
    except PermissionError as error:
        raise BadInput(f"{path} cannot be read: permission denied.") from error
    except Exception as error:  # the library may raise almost anything on a damaged file
        raise damaged from error
    if not isinstance(image, nib.Nifti1Image):  # the base class of NIfTI-2 images, too
        raise damaged
    if dtype.kind not in "iuf":
        kind = "complex numbers" if dtype.kind == "c" else "colours"
        raise BadInput(f"{path} holds {kind}, but only real intensities are supported.")
    if stored["xyzt_units"] & 7 in (1, 3):
        unit = "metres" if stored["xyzt_units"] & 7 == 1 else "micrometres"
        raise BadInput(f"{path} gives its geometry in {unit}, but only millimetres are supported.")
    if stored["sform_code"] == 0 and not stored["pixdim"][1:4].all():
        # The library would silently change it to 1 mm.
        raise BadInput(f"{path} has no valid geometry: a voxel size is zero.")
    return image


def _shape(image: nib.Nifti1Image, path: Path) -> tuple[int, int, int]:
    """Reduce the shape to three axes; trailing axes of length 1 are dropped."""
    shape = image.shape
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if min(shape, default=0) < 1:
        raise BadInput(f"{path} is empty: its size is {times(shape) or 0} voxels.")
    if len(shape) > 3:
        raise BadInput(
            f"{path} holds {np.prod(shape[3:])} volumes ({times(shape)} voxels), "
            "but an image must be a single volume."
        )
    return shape + (1,) * (3 - len(shape))


def _voxels(image: nib.Nifti1Image, shape: tuple[int, int, int], path: Path) -> np.ndarray:
    """Read and rescale the voxels."""
    dtype = image.get_data_dtype()
    compressed = path.name.lower().endswith(".gz")
    # Checked before reading, so that a damaged size cannot allocate all memory.
    stated = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if stated > path.stat().st_size * (_DEFLATE_RATIO if compressed else 1):
        raise BadInput(f"{path} is truncated: it does not hold its {times(shape)} voxels.")
    slope, intercept = image.dataobj.slope, image.dataobj.inter
    integral = dtype.kind in "iu" and float(slope).is_integer() and float(intercept).is_integer()
    try:
        if compressed:
            with gzip.open(path) as file:  # the checksum is only checked at the end
                while file.read(1 << 20):
                    pass
        if integral:
            data = np.asarray(image.dataobj.get_unscaled())
        else:
            data = np.asarray(image.dataobj, dtype=np.float64)
    except Exception as error:
        raise BadInput(
            f"{path} is truncated or damaged: its {times(shape)} voxels cannot be read."
        ) from error
    if integral:
        return rescale_integers(data, dtype, int(slope), int(intercept))
    small = dtype.itemsize <= 2 or dtype == np.float32
    return np.ascontiguousarray(data, dtype=np.float32 if small else np.float64)


def save_volume(path: str | PathLike[str], data: np.ndarray, grid: Grid, *, exact: bool) -> None:
    """Write a NIfTI file (.nii, .nii.gz) atomically; the same input gives the same bytes.

    The file is NIfTI-1, which every tool reads and which stores an affine in float32: as the sform
    if that is exact, otherwise as the qform if that is exact. An affine that neither can store is
    rounded to float32 (1e-5 mm in a scan of the body) or, if ``exact``, written as NIfTI-2, which
    stores float64 but which ITK-based tools cannot read.

    Parameters
    ----------
    path : path-like
        Must end in .nii or .nii.gz.
    data : ndarray, shape (X, Y, Z)
        Voxels, stored in their type without scaling.
    grid : Grid
        Positions of the voxels; its shape is that of the data.
    exact : bool
        Whether ``nibabel.load(path).affine`` must return exactly the grid's affine.

    Raises
    ------
    BadInput
        If the path has another ending, or the file cannot be written.
    """
    path = Path(path)
    if not path.name.lower().endswith(ENDINGS):
        raise BadInput(f"A volume is written as .nii or .nii.gz, not as {path.name}.")
    if data.shape != grid.shape:
        raise ValueError(f"The data's shape {data.shape} must equal the grid's, {grid.shape}")
    image = _image(data, grid, exact)
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        if path.name.lower().endswith(".gz"):
            # The gzip header gets neither name nor time, so the bytes depend on the image only.
            with gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as zipped:
                image.to_stream(zipped)
        else:
            image.to_stream(file)


def _image(data: np.ndarray, grid: Grid, exact: bool) -> nib.Nifti1Image:
    image = _with_forms(nib.Nifti1Image, data, grid)
    if np.array_equal(image.get_sform(), grid.matrix):
        return image
    if np.array_equal(image.get_qform(), grid.matrix):
        image.set_sform(None, 0)
        return image
    return _with_forms(nib.Nifti2Image, data, grid) if exact else image


def _with_forms(kind: type, data: np.ndarray, grid: Grid) -> nib.Nifti1Image:
    """Make an image with an sform and, if a qform can describe the grid, a qform."""
    code = 2  # NIFTI_XFORM_ALIGNED_ANAT: in the coordinates of another image, the source
    image = kind(data, None, dtype=data.dtype)
    image.header.set_xyzt_units("mm")
    image.header.set_zooms([size or 1.0 for size in grid.voxel_size])
    image.set_sform(grid.matrix, code)
    if all(grid.voxel_size):
        image.set_qform(grid.matrix, code)
    if not np.allclose(image.get_qform(), grid.matrix, rtol=0, atol=1e-3):
        image.set_qform(None, 0)  # sheared, or a single layer without thickness
    return image
