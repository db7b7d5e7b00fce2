"""DICOM series: a folder with one file per slice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from implicore.errors import BadInput

from .image import rescale_integers

SLICE_TOLERANCE = 0.01
"""Maximum distance of a slice from its place in an even stack, in units of the slice distance.

Positions are stored as rounded decimals, so no stack is perfectly even."""

_LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])


def read_dicom(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read the one DICOM series of a folder.

    Returns
    -------
    ndarray, shape (X, Y, Z)
        Intensities with the series' scaling applied. Z follows the slices along their normal.
    float64 array, shape (4, 4)
        The affine, index to world (RAS+ mm), rounded to float32.

    Raises
    ------
    BadInput
        If the folder holds no readable series or several, or the slices do not form a volume.
    """
    try:
        with _quiet():
            slices = _sorted_slices(folder)
            return _voxels(slices), _affine(slices, folder)
    except BadInput:
        raise
    except Exception as error:  # the library raises RuntimeError, a malformed number ValueError
        raise BadInput(f"The DICOM series in {folder} is damaged or cannot be read.") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep ITK's warnings off stderr; everything that matters is checked here."""
    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)


@dataclass(frozen=True)
class _Slice:
    """The header of one file."""

    name: str
    size: tuple[int, ...]
    components: int
    position: np.ndarray | None
    """Centre of the first voxel, LPS mm."""
    axes: np.ndarray
    """(2, 3): steps from one voxel to the next along a row and along a column, LPS mm."""
    scaling: tuple[str, str]

    @classmethod
    def read(cls, name: str) -> _Slice:
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


def _sorted_slices(folder: Path) -> list[_Slice]:
    """Read the headers of the folder's series and sort them along the slices' normal."""
    slices = [_Slice.read(name) for name in _files(folder)]
    first = slices[0]
    if any(s.size != first.size or s.size[2] != 1 or s.components != 1 for s in slices):
        raise BadInput(
            f"The DICOM series in {folder} must have grey slices of the same size, one per file."
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
    return sorted(slices, key=lambda s: float(normal @ s.position))


def _files(folder: Path) -> tuple[str, ...]:
    """Return the files of the folder's only series; no other DICOM file may be in the folder."""
    series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if not series:
        raise BadInput(f"{folder} holds no readable DICOM series.")
    if len(series) > 1:
        raise BadInput(
            f"{folder} holds {len(series)} DICOM series, but an image must be a single series."
        )
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series[0])
    # The library omits files that it cannot read, so a damaged file would mean a missing slice.
    in_series = {Path(name).name for name in names}
    for file in sorted(folder.iterdir()):
        if file.name not in {*in_series, "DICOMDIR"} and _is_dicom(file):
            raise BadInput(f"{file} is damaged or is not an image of the DICOM series beside it.")
    return names


def _is_dicom(file: Path) -> bool:
    if not file.is_file():
        return False
    with open(file, "rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def _affine(slices: list[_Slice], folder: Path) -> np.ndarray:
    """Compute the affine of an even stack of slices."""
    positions = np.array([s.position for s in slices])
    gaps = np.linalg.norm(np.diff(positions, axis=0), axis=1)
    if not gaps.all():
        raise BadInput(
            f"The DICOM series in {folder} has several slices at the same position, "
            "but an image must be a single volume."
        )
    # The step follows the slices' positions, not the normal: with a tilted gantry they differ.
    step = (positions[-1] - positions[0]) / len(gaps)
    expected = positions[0] + np.arange(len(slices))[:, None] * step
    deviation = np.linalg.norm(positions - expected, axis=1).max()
    if deviation > SLICE_TOLERANCE * np.linalg.norm(step):
        raise BadInput(
            f"The DICOM series in {folder} has missing or unevenly spaced slices: "
            f"neighbours are {gaps.min():g} to {gaps.max():g} mm apart."
        )
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([*slices[0].axes, step], axis=1) * _LPS_TO_RAS[:, None]
    matrix[:3, 3] = positions[0] * _LPS_TO_RAS
    return matrix.astype(np.float32).astype(np.float64)


def _voxels(slices: list[_Slice]) -> np.ndarray:
    """Read the voxels (X, Y, Z) of the slices in their order."""
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([s.name for s in slices])
    if any(s.scaling != slices[0].scaling for s in slices):
        # Otherwise the type of the first slice would truncate the others.
        reader.SetOutputPixelType(sitk.sitkFloat64)
    image = reader.Execute()  # owns the memory of the view
    data = sitk.GetArrayViewFromImage(image).transpose(2, 1, 0)
    if data.dtype.kind == "f":
        return np.ascontiguousarray(data, dtype=np.float32)
    return rescale_integers(data, data.dtype)
