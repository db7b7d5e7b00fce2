"""Render a program on any grid, compare it with an image, and save it as a volume or picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from implicore.errors import BadInput
from implicore.grid import Grid
from implicore.program import Program

from .golden import Renderer
from .metrics import psnr, ssim
from .volume import Volume, save_plane_png, save_volume, to_intensities


@dataclass(frozen=True, eq=False)
class Rendering:
    """A decoded grid.

    Attributes
    ----------
    program : Program
    grid : Grid
    data : ndarray, of the grid's shape
        Intensities in the source image's units and voxel type.
    seconds : float
        Decoding time.
    psnr_db, ssim : float or None
        Agreement with the image that it was compared with; None without a comparison.
    """

    program: Program
    grid: Grid
    data: np.ndarray
    seconds: float
    psnr_db: float | None = None
    ssim: float | None = None

    @property
    def metrics(self) -> dict:
        """Speed and, after a comparison, quality: the metrics of ``implicore render``."""
        speed = {"voxels": self.grid.voxels, "voxels_per_second": self.grid.voxels / self.seconds}
        if self.psnr_db is None:
            return speed
        return {**speed, "psnr_db": self.psnr_db, "ssim": self.ssim}

    def save(self, path: str | Path) -> None:
        """Write a NIfTI volume (.nii, .nii.gz) or, for a plane, a grey 8-bit PNG.

        A volume on the source image's grid has exactly the source's affine.

        Raises
        ------
        BadInput
            The path has another suffix, a PNG is requested for more than one plane, or the file
            cannot be written.
        """
        check_output(path, self.grid)
        if _is_picture(path):
            intensity = self.program.intensity
            save_plane_png(path, self.data[:, :, 0], intensity.low, intensity.high)
        else:
            save_volume(path, self.data, self.grid, exact=self.grid is self.program.grid)


def check_output(path: str | Path, grid: Grid) -> None:
    """Raise BadInput unless ``Rendering.save`` can write this grid to a file of this name."""
    name = Path(path).name
    if _is_picture(path):
        if grid.shape[2] != 1:
            raise BadInput("A PNG shows one plane: add --plane, or write a NIfTI file instead.")
    elif not name.lower().endswith((".nii", ".nii.gz")):
        raise BadInput(f"The output must end in .nii, .nii.gz or .png, not {name!r}.")


def _is_picture(path: str | Path) -> bool:
    return Path(path).suffix.lower() == ".png"


def render(
    program: Program,
    grid: Grid | None = None,
    *,
    image: Volume | None = None,
    advance: Callable[[int], None] = lambda voxels: None,
) -> Rendering:
    """Decode a grid with the golden model.

    Parameters
    ----------
    program : Program
    grid : Grid, optional
        The source image's grid by default.
    image : Volume, optional
        Compare the result with this image, voxel by voxel.
    advance : function of an int
        Called with the number of voxels decoded since its last call.

    Raises
    ------
    BadInput
        The shapes of image and grid differ, or the grid is too large.
    """
    grid = grid or program.grid
    if image is not None and image.grid.shape != grid.shape:
        raise BadInput(
            f"The image has {_times(image.grid.shape)} voxels and the grid {_times(grid.shape)}: "
            "compare at scale 1, or with an image of the grid's shape."
        )
    top = program.formats.output_max
    # A voxel has at most 65,536 different values: look their intensities up.
    table = program.intensity.values(np.arange(top + 1), top)
    intensities = to_intensities(table, program.intensity.dtype)
    started = perf_counter()
    data = Renderer(program).render(grid, intensities.__getitem__, advance)
    seconds = perf_counter() - started
    if image is None:
        return Rendering(program, grid, data, seconds)
    low, high = image.intensity_range
    quality = (measure(image.data, data, high - low) for measure in (psnr, ssim))
    return Rendering(program, grid, data, seconds, *quality)


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
