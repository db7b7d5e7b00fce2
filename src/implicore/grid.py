"""Sampling grids in world millimetres, and the frame that maps them to network coordinates.

World coordinates are RAS+ millimetres, as in NIfTI. An affine maps a voxel *index* (the voxel's
centre) to world coordinates.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from .errors import BadInput

PLANES = {"sagittal": 0, "coronal": 1, "axial": 2}
"""The world axis (R, A, S) that each anatomical plane is perpendicular to."""

MAX_AXIS = 1 << 16
"""Maximum number of samples along an axis. The coordinate generator's guard bits depend on it."""

MAX_VOXELS = 1 << 32
"""Maximum voxels in a volume, 1,625 per axis: a mistyped scale must not exhaust the memory."""


@dataclass(frozen=True)
class Grid:
    """A regular sampling grid in world space.

    Parameters
    ----------
    shape : tuple of 3 ints
        Samples along each index axis, each at least 1.
    affine : tuple of 4 tuples of 4 floats
        Index to world (RAS+ mm), row-major, the last row ``(0, 0, 0, 1)``. ``Grid.from_array``
        takes a numpy matrix. The columns need not be orthogonal or of unit length.

    Raises
    ------
    BadInput
        If shape and affine do not describe a grid.
    """

    shape: tuple[int, int, int]
    affine: tuple[tuple[float, float, float, float], ...]

    def __post_init__(self) -> None:
        if len(self.shape) != 3 or any(int(n) != n or not 1 <= n <= MAX_AXIS for n in self.shape):
            raise BadInput(
                f"A grid's shape must be three whole numbers from 1 to {MAX_AXIS}, "
                f"not {self.shape!r}."
            )
        matrix = self.matrix
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
            raise BadInput("A grid's affine must be a 4 x 4 matrix of finite numbers.")
        if not np.array_equal(matrix[3], [0, 0, 0, 1]):
            raise BadInput(f"A grid's affine must end in the row 0 0 0 1, not {self.affine[3]!r}.")
        for axis, (count, size) in enumerate(zip(self.shape, self.voxel_size, strict=True)):
            if count > 1 and size == 0:
                raise BadInput(f"A grid's step along index axis {axis} must not be zero.")

    @classmethod
    def from_array(cls, shape: Iterable[int], affine: ArrayLike) -> Grid:
        """Make a grid from any integer sequence and any (4, 4) array."""
        matrix = np.asarray(affine, dtype=np.float64)
        if matrix.shape != (4, 4):
            raise BadInput("A grid's affine must be a 4 x 4 matrix of finite numbers.")
        axes = tuple(int(n) for n in shape)
        return cls(axes, tuple(tuple(row) for row in matrix.tolist()))  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: str | Path) -> Grid:
        """Read a grid from a JSON file with the keys ``shape`` and ``affine`` (4 rows of 4).

        Raises
        ------
        BadInput
            The file cannot be read or does not describe a grid.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            return cls.from_array(content["shape"], content["affine"])
        except OSError as error:
            raise BadInput(f"{path} cannot be read: {error.strerror}.") from None
        except BadInput as error:
            raise BadInput(f"{path} does not describe a grid: {error.clause}") from None
        except (ValueError, TypeError, KeyError):
            raise BadInput(
                f'{path} must hold {{"shape": [X, Y, Z], "affine": 4 x 4 numbers}}.'
            ) from None

    @cached_property
    def matrix(self) -> np.ndarray:
        """The affine as a (4, 4) float64 array, read-only."""
        matrix = np.array(self.affine, dtype=np.float64)
        matrix.flags.writeable = False
        return matrix

    @property
    def voxel_size(self) -> tuple[float, float, float]:
        """Distance in mm between neighbours along each index axis."""
        x, y, z = np.sqrt((self.matrix[:3, :3] ** 2).sum(axis=0)).tolist()
        return x, y, z

    @property
    def voxels(self) -> int:
        """Number of samples."""
        return int(np.prod(self.shape, dtype=np.int64))

    def world(self, index: ArrayLike) -> np.ndarray:
        """Compute world coordinates in mm, (..., 3), for integer or fractional indices (..., 3)."""
        return np.asarray(index, dtype=np.float64) @ self.matrix[:3, :3].T + self.matrix[:3, 3]

    def corners(self, *, edges: bool) -> np.ndarray:
        """Compute the 8 corners in mm, (8, 3), of the voxel edges or of the outer voxel centres."""
        margin = 0.5 if edges else 0.0
        ends = [(-margin, n - 1 + margin) for n in self.shape]
        return self.world(list(product(*ends)))

    def scaled(self, factor: float) -> Grid:
        """Sample the same field of view with ``factor`` times as many voxels along each axis.

        The number of samples is rounded to the nearest whole number, at least 1. The voxel size
        follows from it: the outer voxel edges do not move. Factor 1 returns this grid.

        Examples
        --------
        >>> import numpy as np
        >>> from implicore import Grid
        >>> grid = Grid.from_array((10, 10, 5), np.diag([1.0, 1.0, 2.0, 1.0]))
        >>> fine = grid.scaled(2.5)
        >>> fine.shape, [round(float(size), 3) for size in fine.voxel_size]
        ((25, 25, 13), [0.4, 0.4, 0.769])
        """
        if not (np.isfinite(factor) and 0 < factor <= MAX_AXIS):
            raise BadInput(f"The scale must be a positive number up to {MAX_AXIS}, not {factor}.")
        shape = [max(1, int(np.floor(n * factor + 0.5))) for n in self.shape]
        if shape == list(self.shape):
            return self
        ratio = np.array(self.shape) / np.array(shape)
        matrix = self.matrix.copy()
        matrix[:3, :3] *= ratio
        # The first centre lies half a new voxel inside the same outer edge. The order of the sum
        # is part of docs/numerics.md: it decides the last bit.
        shift = self.matrix[:3, :3] * ((ratio - 1) / 2)
        matrix[:3, 3] = ((shift[:, 0] + shift[:, 1]) + shift[:, 2]) + self.matrix[:3, 3]
        return Grid.from_array(shape, matrix)

    def plane(
        self, name: Literal["axial", "coronal", "sagittal"], millimetres: float, scale: float = 1.0
    ) -> Grid:
        """Place an anatomical plane through this grid's field of view.

        Parameters
        ----------
        name : 'axial', 'coronal' or 'sagittal'
        millimetres : float
            Position along the world axis that the plane is perpendicular to.
        scale : float
            Samples per finest voxel size of this grid.

        Returns
        -------
        Grid
            Of shape (columns, rows, 1), covering the world bounding box of this grid. Index 0 runs
            along the first remaining world axis (R before A before S), index 1 along the second.

        Raises
        ------
        BadInput
            If the name is unknown, or the plane lies outside the image.
        """
        if name not in PLANES:
            raise BadInput(f"The plane must be one of {', '.join(PLANES)}, not {name!r}.")
        if not (np.isfinite(scale) and 0 < scale <= MAX_AXIS):
            raise BadInput(f"The scale must be a positive number up to {MAX_AXIS}, not {scale}.")
        normal = PLANES[name]
        corners = self.corners(edges=True)
        low, high = corners.min(axis=0), corners.max(axis=0)
        if not low[normal] <= millimetres <= high[normal]:
            raise BadInput(
                f"The {name} plane at {millimetres:g} mm lies outside the image, "
                f"which reaches from {low[normal]:g} to {high[normal]:g} mm."
            )
        step = min(s for s in self.voxel_size if s > 0) / scale
        along = [axis for axis in range(3) if axis != normal]
        matrix = np.zeros((4, 4))
        matrix[3, 3] = 1.0
        shape = [1, 1, 1]
        for index, axis in enumerate(along):
            shape[index] = max(1, int(np.floor((high[axis] - low[axis]) / step + 0.5)))
            size = (high[axis] - low[axis]) / shape[index]
            matrix[axis, index] = size
            matrix[axis, 3] = low[axis] + size / 2
        matrix[normal, 2] = step
        matrix[normal, 3] = millimetres
        return Grid.from_array(shape, matrix)

    def middle_plane(self) -> Grid:
        """Place the axial plane through the centre of this grid, at its finest voxel size."""
        corners = self.corners(edges=True)
        return self.plane("axial", float((corners[:, 2].min() + corners[:, 2].max()) / 2))


@dataclass(frozen=True)
class Frame:
    """The isotropic map from world mm to network coordinates: ``x = (world - centre) / extent``.

    Parameters
    ----------
    centre : tuple of 3 floats
        World position in mm of the network's origin.
    extent : float
        Length in mm that becomes 1, the same along every axis, positive.
    """

    centre: tuple[float, float, float]
    extent: float

    def __post_init__(self) -> None:
        if len(self.centre) != 3 or not np.isfinite(self.centre).all():
            raise BadInput(f"A frame's centre must be three finite numbers, not {self.centre!r}.")
        if not (np.isfinite(self.extent) and self.extent > 0):
            raise BadInput(f"A frame's extent must be a positive number, not {self.extent!r}.")

    @classmethod
    def around(cls, grids: Iterable[Grid]) -> Frame:
        """Make the frame in which the voxel edges of ``grids`` span (-1, 1) on the longest axis."""
        corners = np.concatenate([grid.corners(edges=True) for grid in grids])
        low, high = corners.min(axis=0), corners.max(axis=0)
        return cls(tuple(((low + high) / 2).tolist()), float((high - low).max() / 2))

    def coordinates(self, world: ArrayLike) -> np.ndarray:
        """Compute network coordinates, float64 (..., 3), for world positions in mm (..., 3)."""
        return (np.asarray(world, dtype=np.float64) - self.centre) / self.extent

    def affine(self, grid: Grid) -> np.ndarray:
        """Compute the (3, 4) map from grid index to network coordinates: steps, then origin."""
        affine = grid.matrix[:3] / self.extent
        affine[:, 3] = (grid.matrix[:3, 3] - self.centre) / self.extent
        return affine
