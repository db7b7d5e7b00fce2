"""The points that hardware decodes to show a grid, and the grid's voxels from theirs."""

from __future__ import annotations

import numpy as np

from implicore.grid import Grid
from implicore.job import GridJob, pack_points
from implicore.model.resampling import Resampler
from implicore.patch import POINT, join_patches
from implicore.program import Program

from .picture import nearest


class Region:
    """A box of points that holds all that a grid needs.

    A program without patches decodes the grid itself. Hardware decodes whole patches on their
    lattice, so other grids are interpolated from the patches around them, see
    ``model.resampling``.

    Parameters
    ----------
    program : Program
    grid : Grid, optional
        By default, the middle axial plane of the source image. A program with patches then decodes
        only those that the plane crosses, and each sample shows the nearest voxel.

    Attributes
    ----------
    grid : Grid
        The samples to show.
    job : GridJob
        The points to decode.

    Raises
    ------
    BadInput
        The grid exceeds the range of the coordinate format, or the image is too large to resample.
    """

    def __init__(self, program: Program, grid: Grid | None = None):
        self._program, self._given = program, grid is not None
        self.grid = grid or program.grid.middle_plane()
        if program.patch == POINT:
            self.job = GridJob.of(self.grid, program.frame)
            return
        lattice = program.lattice
        self._corner, shape = np.zeros(3, int), np.array(lattice.shape)
        if grid is None:
            index, inside = nearest(program.grid, self.grid)
            patches = index[inside] // lattice.patch
            self._corner = patches.min(axis=0)
            shape = patches.max(axis=0) + 1 - self._corner
        elif grid != program.grid:
            self._corner, shape = Resampler(program, self._nothing).patches(grid)
        whole = GridJob.of(lattice.grid, program.frame)
        self.job = whole.box(self._corner.tolist(), shape.tolist())

    def show(self, voxels: np.ndarray) -> np.ndarray:
        """Return the voxels of the grid, an array of its shape.

        Parameters
        ----------
        voxels : integer array
            The voxels of the job, point after point; -1 for a missing one.
        """
        program, lattice = self._program, self._program.lattice
        if program.patch == POINT:
            return voxels.reshape(self.grid.shape, order="F")
        if self.grid == program.grid:
            return lattice.join(voxels)
        if self._given:
            decoded = voxels.reshape(-1, program.shape.outputs)
            keys = pack_points(self.job.coordinates(0, self.job.voxels))
            order = np.argsort(keys)

            def decode(points: np.ndarray) -> np.ndarray:
                at = np.searchsorted(keys, pack_points(points), sorter=order)
                return np.maximum(decoded[order[at]], 0).ravel()

            return Resampler(program, decode).render(self.grid, np.asarray)
        box = join_patches(voxels, lattice.patch, self.job.shape)
        index, inside = nearest(program.grid, self.grid)
        shown = np.zeros(self.grid.shape, voxels.dtype)
        shown[inside] = box[tuple((index[inside] - self._corner * lattice.patch).T)]
        return shown

    @staticmethod
    def _nothing(points: np.ndarray) -> np.ndarray:
        raise AssertionError("Planning decodes no patch.")
