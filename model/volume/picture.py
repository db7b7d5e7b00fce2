"""Planes of an image as PNG files."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image

from implicore.atomic import atomic_write
from implicore.errors import BadInput

from .image import to_intensities


def save_plane_png(path: str | PathLike[str], data: np.ndarray, low: float, high: float) -> None:
    """Write a plane as an 8-bit grey PNG, atomically.

    Parameters
    ----------
    path : path-like
        Must end in .png.
    data : ndarray, shape (columns, rows)
        In the order of ``Grid.plane``: index 0 increases towards the subject's right (in a sagittal
        plane, towards the front), index 1 towards the front or the head. In the picture, index 0
        increases to the right and index 1 upwards, so the nose or the vertex is at the top and the
        subject's right is at the viewer's right. Pixels are square.
    low, high : float
        The intensities to show as black and white.

    Raises
    ------
    BadInput
        If the path has another ending, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise BadInput(f"A plane is written as .png, not as {path.name}.")
    if not low < high:
        raise ValueError(f"The darkest value, {low}, must be below the brightest, {high}")
    grey = (np.asarray(data, dtype=np.float64) - low) * (255 / (high - low))
    with atomic_write(path) as temporary:
        Image.fromarray(to_intensities(grey, np.uint8).T[::-1]).save(temporary, format="PNG")
