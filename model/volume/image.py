"""A three-dimensional image in memory: voxels, geometry, intensities."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from implicore.errors import BadInput
from implicore.grid import Grid


@dataclass(frozen=True, eq=False)
class Volume:
    """A three-dimensional image.

    Parameters
    ----------
    data : ndarray, shape (X, Y, Z)
        Intensities in their own unit, integer or float, in native byte order. Made read-only.
    grid : Grid
        Positions of the voxels; its shape is that of the data.
    name : str
        Name of the source file or folder, without its path.
    """

    data: np.ndarray
    grid: Grid
    name: str

    def __post_init__(self) -> None:
        if self.data.shape != self.grid.shape:
            raise ValueError(
                f"The data's shape {self.data.shape} must equal the grid's, {self.grid.shape}"
            )
        self.data.flags.writeable = False

    @property
    def dtype(self) -> np.dtype:
        """Type of the intensities."""
        return self.data.dtype

    @cached_property
    def intensity_range(self) -> tuple[float, float]:
        """The intensities (low, high) that the network's outputs 0 and 1 represent.

        (0, 255) for uint8, so that PSNR has its customary peak; otherwise the image's extremes.
        """
        if self.dtype == np.uint8:
            return 0.0, 255.0
        return float(self.data.min()), float(self.data.max())


def crop(volume: Volume, region: str) -> Volume:
    """Cut out the voxels ``"X0:X1,Y0:Y1,Z0:Z1"`` (indices from 0, ends excluded).

    Every remaining voxel keeps its place in the world.

    Raises
    ------
    BadInput
        If the region is not of this form, not inside the image, or not usable as an image.
    """
    match = re.fullmatch(r"(\d+):(\d+),(\d+):(\d+),(\d+):(\d+)", region, re.ASCII)
    if not match:
        raise BadInput(f"The crop must have the form X0:X1,Y0:Y1,Z0:Z1, not {region!r}.")
    ends = [int(text) for text in match.groups()]
    first, last = ends[::2], ends[1::2]
    for axis, low, high, count in zip("XYZ", first, last, volume.grid.shape, strict=True):
        if not low < high <= count:
            raise BadInput(
                f"The crop {low}:{high} along {axis} is empty or extends beyond "
                f"the {count} voxels of {volume.name}."
            )
    data = volume.data[tuple(map(slice, first, last))].copy()
    check_usable(data, f"The crop {region} of {volume.name}")
    matrix = volume.grid.matrix.copy()
    matrix[:3, 3] = volume.grid.world(first)
    return Volume(data, Grid.from_array(data.shape, matrix), volume.name)


def check_usable(data: np.ndarray, label: str) -> None:
    """Raise BadInput, naming the image by ``label``, if a network cannot be fitted to its voxels.

    An image must have two voxels along each axis, and finite intensities that are not all equal.
    """
    if min(data.shape) == 1:
        raise BadInput(
            f"{label} is a single slice of {times(data.shape)} voxels, not a volume: "
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


def rescale_integers(
    data: np.ndarray, stored: DTypeLike, slope: int = 1, intercept: int = 0
) -> np.ndarray:
    """Apply an integer slope and intercept, and choose the narrowest type that holds the result.

    The candidates are the ``stored`` type if it has at most 16 bits, then int16, uint16, int32 and
    float64.
    """
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


def to_intensities(values: ArrayLike, dtype: DTypeLike) -> np.ndarray:
    """Convert values to an image's type; integers are rounded half up and clipped.

    The result is exact for every float: no intermediate sum is rounded.
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


def times(shape: Iterable[int]) -> str:
    """Write a shape as in ``2 x 3 x 4``."""
    return " x ".join(str(n) for n in shape)
