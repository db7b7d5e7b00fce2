"""Pictures that compare source, golden model and hardware."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from implicore.atomic import atomic_write
from implicore.grid import Grid
from implicore.model.volume import Volume
from implicore.program import Program

CAPTION = 14
"""Pixels above each plane."""


def compare(
    program: Program,
    grid: Grid,
    golden: np.ndarray,
    decoded: np.ndarray,
    source: Volume | None = None,
) -> dict[str, np.ndarray]:
    """Return pictures of one plane: the decoded voxels and their errors.

    Parameters
    ----------
    program : Program
    grid : Grid
        The plane, of shape (columns, rows, 1); shown as ``model.volume.save_plane_png`` does.
    golden, decoded : integer arrays, shape (columns, rows)
        Voxels; -1 for a missing one.
    source : Volume, optional
        Without it, there is no picture ``source`` or ``loss``.

    Returns
    -------
    dict of str to uint8 array of shape (rows, columns, 3)
        ``source``; ``golden``; ``hardware``; ``loss``, four times the absolute difference between
        golden model and source; ``wrong``, with voxels in red where hardware and golden model
        differ.
    """
    scale = 255 / program.formats.output_max
    planes = {"golden": _grey(golden * scale), "hardware": _grey(decoded * scale)}
    if source is not None:
        low, high = program.intensity.low, program.intensity.high
        original = (sample(source, grid)[:, :, 0].astype(float) - low) * (255 / (high - low))
        planes = {"source": _grey(original), **planes}
        planes["loss"] = _grey(4 * np.abs(original - golden * scale))
    wrong = golden != decoded
    planes["wrong"] = np.where(wrong[..., None], np.uint8([255, 0, 0]), _grey(golden * (scale / 4)))
    return {
        name: np.ascontiguousarray(plane.swapaxes(0, 1)[::-1]) for name, plane in planes.items()
    }


CAPTIONS = {"golden": "golden model", "loss": "source - golden, x 4"}


def save_comparison(path: str | Path, planes: dict[str, np.ndarray], wrong: int) -> None:
    """Write the pictures of ``compare`` side by side into one PNG, with captions.

    Parameters
    ----------
    path : path-like
        Must end in .png.
    planes : dict of str to uint8 array of shape (rows, columns, 3)
    wrong : int
        Number of wrong voxels, for the caption.
    """
    captions = {**CAPTIONS, "wrong": f"hardware: {wrong} wrong"}
    captions = [captions.get(name, name) for name in planes]
    rows, columns, _ = planes["golden"].shape
    cell = max(columns, 8 * max(map(len, captions))) + 2
    image = Image.new("RGB", (cell * len(planes), rows + CAPTION), "black")
    draw = ImageDraw.Draw(image)
    for number, (caption, plane) in enumerate(zip(captions, planes.values(), strict=True)):
        draw.text((cell * number + 2, 1), caption, "white")
        image.paste(Image.fromarray(plane), (cell * number, CAPTION))
    with atomic_write(path) as temporary:
        image.save(temporary, format="PNG")


def save_planes(folder: Path, planes: dict[str, np.ndarray]) -> None:
    """Write each picture of ``compare`` as a PNG into a folder, one pixel per voxel."""
    for name, plane in planes.items():
        with atomic_write(folder / f"{name}.png") as temporary:
            Image.fromarray(plane).save(temporary, format="PNG")


def _grey(values: np.ndarray) -> np.ndarray:
    octets = np.clip(np.floor(values + 0.5), 0, 255).astype(np.uint8)
    return np.repeat(octets[..., None], 3, axis=-1)


def nearest(source: Grid, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Return the index of the nearest voxel of a source at each voxel of a grid.

    Returns
    -------
    int array of shape (*grid.shape, 3)
    bool array of the grid's shape
        Whether the source has that voxel.
    """
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    inverse = np.linalg.inv(source.matrix)
    found = np.floor(grid.world(index) @ inverse[:3, :3].T + inverse[:3, 3] + 0.5).astype(int)
    return found, ((found >= 0) & (found < source.shape)).all(axis=-1)


def sample(volume: Volume, grid: Grid) -> np.ndarray:
    """Return the nearest voxel of a volume at each voxel of a grid; outside it, its minimum."""
    index, inside = nearest(volume.grid, grid)
    found = np.full(grid.shape, volume.data.min())
    found[inside] = volume.data[tuple(index[inside].T)]
    return found
