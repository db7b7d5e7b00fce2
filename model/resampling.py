"""Resampling: values between the voxels of a program with patches, by a cubic B-spline.

A network of patches is defined at their centres only. Between its voxels the image is the cubic
B-spline that passes through them (M. Unser, "Splines", IEEE Signal Processing Magazine 1999), as
``scipy.ndimage`` computes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import numpy as np
from scipy.ndimage import map_coordinates, spline_filter

from implicore.errors import BadInput
from implicore.grid import MAX_VOXELS, Grid
from implicore.job import GridJob
from implicore.program import Program

BATCH = 2048
"""Maximum number of patches to decode at a time."""

EDGE = 64
"""Maximum samples along each axis of a block, which are interpolated together."""

SPAN = 48
"""Maximum voxels of the source along each axis of a block. It limits the memory."""

HALF_VOXEL = 0.5 + 1e-6
"""Distance in voxels from the outer voxel centres to the edge of the image. The millionth allows
for rounding errors."""

WHOLE = 1e-6
"""Largest deviation in voxels from a whole index. The value differs from the voxel's by less than a
hundredth."""

POLE = 2 - math.sqrt(3)
"""Magnitude of the pole of the B-spline's prefilter: its response to a voxel at a distance of k is
``sqrt(3) * POLE**k``, with alternating sign."""


class Resampler:
    """Interpolate the voxels of a program. A patch is decoded when it is first needed, and kept.

    Values are rounded half up and saturated to the range of a voxel. Beyond the image they are 0.
    Its voxels are mirrored at the outer voxel centres.

    Parameters
    ----------
    program : Program
    decode : function of an integer array, shape (points, 3)
        Decodes centres of patches to a flat array of voxels: ``Renderer.voxels``, or
        ``Host.voxels`` of hardware.

    Raises
    ------
    BadInput
        The source image has more than ``grid.MAX_VOXELS`` voxels.
    """

    def __init__(self, program: Program, decode: Callable[[np.ndarray], np.ndarray]):
        source, lattice = program.grid, program.lattice
        if source.voxels > MAX_VOXELS:
            raise BadInput(
                f"The source image has {source.voxels} voxels, more than the {MAX_VOXELS} that "
                "can be resampled: render it at scale 1."
            )
        self._program, self._decode = program, decode
        self._shape, self._patch = np.array(source.shape), np.array(lattice.patch)
        self._job = GridJob.of(lattice.grid, program.frame)
        # The system provides the memory of zeros when they are first written.
        self._voxels = np.zeros(self._patch * lattice.shape, np.uint16)
        self._decoded = np.zeros(lattice.shape, bool)
        self._margin = margin(program.formats.output_max)
        # The pseudo-inverse gives index 0 along an axis of one sample without a size.
        self._to_index = np.linalg.pinv(source.matrix[:3, :3])

    def render(
        self,
        grid: Grid,
        convert: Callable[[np.ndarray], np.ndarray],
        advance: Callable[[int], None] = lambda voxels: None,
    ) -> np.ndarray:
        """Interpolate every sample of a grid; parameters and result as of ``Renderer.render``."""
        steps = self._to_index @ grid.matrix[:3, :3]
        origin = self._index(grid.matrix[:3, 3])
        reach = np.maximum(np.abs(steps).max(axis=0), SPAN / EDGE)
        edges = np.maximum(SPAN // reach, 1).astype(int).tolist()
        volume = np.empty(grid.shape, convert(np.zeros(1, np.uint16)).dtype, order="F")
        starts = (range(0, n, edge) for n, edge in zip(grid.shape, edges, strict=True))
        for start in product(*starts):
            block = tuple(slice(i, i + edge) for i, edge in zip(start, edges, strict=True))
            part = volume[block]
            sample = np.indices(part.shape).reshape(3, -1) + np.array(start)[:, None]
            part[:] = convert(self._at(steps @ sample + origin[:, None])).reshape(part.shape)
            advance(part.size)
        return volume

    def points(self, millimetres: np.ndarray) -> np.ndarray:
        """Interpolate points given in world mm, shape (points, 3): uint16, shape (points,)."""
        index = self._index(millimetres.T)
        voxels = np.empty(index.shape[1], np.uint16)
        # Points of the same block of the source are interpolated together.
        cells = np.floor(index / SPAN)
        order = np.lexsort(cells)
        changes = np.diff(cells[:, order], axis=1).any(axis=0)
        for part in np.split(order, np.flatnonzero(changes) + 1):
            voxels[part] = self._at(index[:, part])
        return voxels

    def _index(self, millimetres: np.ndarray) -> np.ndarray:
        """Return the fractional indices (3, ...) of positions (3, ...) in world mm."""
        return self._to_index @ (millimetres.T - self._program.grid.matrix[:3, 3]).T

    def _at(self, index: np.ndarray) -> np.ndarray:
        """Interpolate at neighbouring fractional indices (3, points)."""
        last = self._shape[:, None] - 1
        inside = ((index >= -HALF_VOXEL) & (index <= last + HALF_VOXEL)).all(axis=0)
        voxels = np.zeros(index.shape[1], np.uint16)
        if inside.any():
            index = index if inside.all() else index[:, inside]
            low, high = self._needed(index, _whole(index))
            box = self._box(low, high)
            coefficients = spline_filter(box, order=3, output=np.float64, mode="mirror")
            values = map_coordinates(
                coefficients, index - low[:, None], order=3, mode="mirror", prefilter=False
            )
            top = self._program.formats.output_max
            voxels[inside] = np.clip(np.floor(values + 0.5), 0, top)
        return voxels

    def _needed(self, index: np.ndarray, whole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the box of voxels, first and end, for fractional indices (3, points).

        Along the axes of ``whole``, the spline passes through the voxels, so others do not count.
        """
        low = np.where(whole, np.rint(index.min(axis=1)), np.floor(index.min(axis=1)) - 1)
        end = np.where(whole, np.rint(index.max(axis=1)) + 1, np.floor(index.max(axis=1)) + 3)
        margin = np.where(whole, 0, self._margin)
        low = np.clip((low - margin).astype(int), 0, self._shape - 1)
        return low, np.clip((end + margin).astype(int), 1, self._shape)

    def patches(self, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
        """Return first index and shape of a box of patches that holds all that a grid needs."""
        steps = self._to_index @ grid.matrix[:3, :3][:, np.array(grid.shape) > 1]
        origin = self._index(grid.matrix[:3, 3:4])
        whole = _whole(np.hstack([origin, steps]))
        low, high = self._needed(self._index(grid.corners(edges=False).T), whole)
        first = low // self._patch
        return first, -(-high // self._patch) - first

    def _box(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Return the voxels from index ``low`` up to, but not including, ``high``."""
        first, end = low // self._patch, -(-high // self._patch)
        patches = tuple(slice(a, b) for a, b in zip(first, end, strict=True))
        missing = np.argwhere(~self._decoded[patches].T)[:, ::-1] + first
        x, y, z = self._patch
        # A view of the volume: patch, then voxel in the patch.
        shape = [n for pair in zip(self._decoded.shape, (x, y, z), strict=True) for n in pair]
        blocks = self._voxels.reshape(shape).transpose(0, 2, 4, 1, 3, 5)
        for start in range(0, len(missing), BATCH):
            part = missing[start : start + BATCH]
            voxels = self._decode(self._job.at(part)).reshape(-1, z, y, x)
            blocks[tuple(part.T)] = voxels.transpose(0, 3, 2, 1)
        self._decoded[patches] = True
        return self._voxels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]


def _whole(index: np.ndarray) -> np.ndarray:
    """Return for each row of an array whether all of its numbers are whole, but for rounding."""
    return (np.abs(index - np.rint(index)) <= WHOLE).all(axis=1)


def margin(top: int) -> int:
    """Return the voxels around a box whose spline coefficients are needed.

    With them, cutting the box out of the image changes a value by less than a quarter of a unit.

    Parameters
    ----------
    top : int
        The largest voxel.
    """
    # Voxels more than m away, wrong by up to `top` on both sides, change a coefficient by up to
    # 2 top sqrt(3) POLE^(m+1) / (1 - POLE). Three axes are cut, and the filters along the two
    # other axes amplify the change by up to 3 each.
    worst = 3 * 3**2 * 2 * top * math.sqrt(3) / (1 - POLE)
    return math.ceil(math.log(0.25 / worst) / math.log(POLE)) - 1
