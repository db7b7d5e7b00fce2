"""Grid jobs: a sampling grid as integers for the coordinate generator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import ArrayLike

from .errors import BadInput
from .fixed import COORDINATE, GRID_GUARD, round_half_up
from .grid import Frame, Grid


@dataclass(frozen=True)
class GridJob:
    """Every voxel of a grid as an origin plus multiples of three step vectors.

    The coordinate of index (i, j, k) is ``(origin + i steps[0] + j steps[1] + k steps[2]) >>
    GRID_GUARD``, in ``COORDINATE`` units. The sums are exact. The origin includes half a unit,
    which turns truncation into rounding. The result is within ``1/2 + 0.006`` units of the exact
    coordinate for the largest grid, and within ``1/2 + 0.0001`` for 1,024 samples per axis.

    Parameters
    ----------
    shape : tuple of 3 ints
        Samples along each index axis. Voxels are numbered with the first axis fastest.
    origin : tuple of 3 ints
        Coordinates of index (0, 0, 0), with ``COORDINATE.fraction + GRID_GUARD`` fraction bits.
    steps : tuple of 3 tuples of 3 ints
        ``steps[a]`` is added when index a increases by one, in the units of the origin.
    """

    shape: tuple[int, int, int]
    origin: tuple[int, int, int]
    steps: tuple[tuple[int, int, int], ...]

    @classmethod
    def of(cls, grid: Grid, frame: Frame) -> GridJob:
        """Return the job that samples ``grid``.

        Raises
        ------
        BadInput
            The grid exceeds the range of the coordinate format.
        """
        affine = frame.affine(grid)
        spread = np.abs(affine[:, :3]) @ (np.array(grid.shape) - 1) + np.abs(affine[:, 3])
        if not (spread < 1 << COORDINATE.bits).all():  # otherwise the integers below overflow
            raise BadInput(cls._too_far(grid, frame))
        affine *= 2.0 ** (COORDINATE.fraction + GRID_GUARD)
        affine[:, :3] *= np.array(grid.shape) > 1  # a single sample needs no step
        origin = round_half_up(affine[:, 3]) + (1 << (GRID_GUARD - 1))
        steps = round_half_up(affine[:, :3].T)
        job = cls(grid.shape, tuple(origin.tolist()), tuple(map(tuple, steps.tolist())))
        ends = np.array(list(product(*[sorted({0, n - 1}) for n in grid.shape])))
        if not COORDINATE.holds(job.at(ends)):
            raise BadInput(cls._too_far(grid, frame))
        return job

    @staticmethod
    def _too_far(grid: Grid, frame: Frame) -> str:
        corners = grid.corners(edges=False)
        reach = 2 * frame.extent
        return (
            f"The grid reaches from {np.round(corners.min(axis=0), 1).tolist()} to "
            f"{np.round(corners.max(axis=0), 1).tolist()} mm, but the network's coordinates "
            f"reach only {reach:g} mm from {np.round(frame.centre, 1).tolist()} mm."
        )

    @property
    def increments(self) -> tuple[tuple[int, int, int], ...]:
        """Increments to the next voxel: within a line, to the next line, to the next plane.

        They may exceed the width of their registers: sums are modulo that width.
        """
        steps = np.array(self.steps)
        spans = (np.array(self.shape)[:, None] - 1) * steps  # from the first to the last sample
        increments = [steps[0], steps[1] - spans[0], steps[2] - spans[1] - spans[0]]
        return tuple(tuple(increment.tolist()) for increment in increments)

    @property
    def voxels(self) -> int:
        """Number of voxels."""
        return self.shape[0] * self.shape[1] * self.shape[2]

    def parts(self, limit: int) -> Iterator[GridJob]:
        """Split the job into jobs of at most ``limit`` (at least 1) voxels, in the same order."""
        if self.voxels <= limit:
            yield self
            return
        axis = max(axis for axis in range(3) if self.shape[axis] > 1)
        size = max(1, limit // (self.voxels // self.shape[axis]))
        for first in range(0, self.shape[axis], size):
            corner, shape = [0, 0, 0], list(self.shape)
            corner[axis], shape[axis] = first, min(size, self.shape[axis] - first)
            yield from self.box(corner, shape).parts(limit)

    def box(self, corner: Sequence[int], shape: Sequence[int]) -> GridJob:
        """Return the job of a box of voxels that begins at index ``corner``."""
        origin = np.array(self.origin) + np.array(corner) @ np.array(self.steps)
        x, y, z = shape
        return replace(self, shape=(x, y, z), origin=tuple(origin.tolist()))

    def at(self, index: ArrayLike) -> np.ndarray:
        """Return the coordinates, int64 (..., 3), of indices (..., 3)."""
        total = np.asarray(index, np.int64) @ np.array(self.steps) + np.array(self.origin)
        return total >> GRID_GUARD

    def coordinates(self, start: int, stop: int) -> np.ndarray:
        """Return the coordinates of voxels ``start`` to ``stop - 1``, int64 (voxels, 3)."""
        index = np.unravel_index(np.arange(start, stop), self.shape, order="F")
        return self.at(np.stack(index, axis=-1))


def checked_points(coordinates: ArrayLike) -> np.ndarray:
    """Return coordinates of shape (points, 3) in ``COORDINATE`` units as an array.

    Raises
    ------
    BadInput
        The array has another shape, or a coordinate is out of range.
    """
    points = np.asarray(coordinates)
    if points.ndim != 2 or points.shape[1] != 3:
        raise BadInput(f"Points must have the shape (points, 3), not {points.shape}.")
    if not COORDINATE.holds(points):
        raise BadInput(
            f"Coordinates must be from {COORDINATE.low} to {COORDINATE.high}, but these range "
            f"from {points.min()} to {points.max()}."
        )
    return points


def pack_points(points: np.ndarray) -> np.ndarray:
    """Pack points of shape (points, 3) for ``s_axis_points``, one uint64 per point.

    x, y and z take 16 bits each, from bit 0 upwards, in two's complement.
    """
    fields = np.zeros((len(points), 4), "<u2")
    fields[:, :3] = np.asarray(points, np.int64).reshape(-1, 3) & 0xFFFF
    return fields.view("<u8")[:, 0]


def unpack_points(words: ArrayLike) -> np.ndarray:
    """Return the points, int64 of shape (points, 3), that ``pack_points`` packed."""
    return np.ascontiguousarray(words, "<u8").view("<i2").reshape(-1, 4)[:, :3].astype(np.int64)
