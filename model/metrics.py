"""Image quality: PSNR and SSIM."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from skimage.metrics import structural_similarity

_BLOCK = 1 << 20
"""Voxels converted to float64 at a time; a large image then needs no second large array."""

_WINDOW = 7
"""Edge of the SSIM window in voxels."""


def psnr(reference: ArrayLike, image: ArrayLike, peak: float) -> float:
    """Compute the peak signal-to-noise ratio in dB, ``10 log10(peak^2 / mean squared error)``.

    Parameters
    ----------
    reference, image : ndarray
        Of the same shape, in the same unit.
    peak : float
        Full scale in that unit: 255 for uint8, else ``high - low`` of the intensity range.

    Returns
    -------
    float
        Infinite for identical images.
    """
    reference, image = _pair(reference, image, peak)
    reference, image = reference.ravel(), image.ravel()
    total = 0.0
    for start in range(0, reference.size, _BLOCK):
        block = slice(start, start + _BLOCK)
        error = np.subtract(reference[block], image[block], dtype=np.float64)
        total += float(error @ error)
    if total == 0:
        return math.inf
    return 10 * math.log10(peak * peak * reference.size / total)


def ssim(reference: ArrayLike, image: ArrayLike, peak: float) -> float:
    """Compute the mean structural similarity of two volumes or planes, 1 if they are identical.

    Z. Wang et al., "Image quality assessment", IEEE TIP 2004, with scikit-image's defaults: a
    uniform window of 7 voxels along each axis. Axes of length 1 are dropped. An axis shorter than
    the window is extended by its mirror image.

    Parameters
    ----------
    reference, image : ndarray, shape (X, Y, Z)
        Of the same shape, in the same unit.
    peak : float
        Full scale in that unit, as for ``psnr``.
    """
    reference, image = (_fill_window(v) for v in _pair(reference, image, peak))
    # Computed in slabs along the first axis, each with the margin that its windows need: the
    # similarity is local, and a whole volume would need a dozen arrays of its size.
    margin = _WINDOW // 2
    inside = len(reference) - 2 * margin
    thickness = max(1, _BLOCK // math.prod(reference.shape[1:]))
    total = 0.0
    for start in range(0, inside, thickness):
        count = min(thickness, inside - start)
        slab = slice(start, start + count + 2 * margin)
        total += count * structural_similarity(
            reference[slab].astype(np.float64),
            image[slab].astype(np.float64),
            win_size=_WINDOW,
            data_range=peak,
        )
    return float(total / inside)


def _pair(reference: ArrayLike, image: ArrayLike, peak: float) -> tuple[np.ndarray, np.ndarray]:
    reference, image = np.asarray(reference), np.asarray(image)
    if reference.shape != image.shape:
        raise ValueError(f"The images' shapes must agree: {reference.shape}, {image.shape}")
    if reference.size == 0:
        raise ValueError("The images must not be empty")
    if not peak > 0:
        raise ValueError(f"The peak must be positive, not {peak}")
    return reference, image


def _fill_window(image: np.ndarray) -> np.ndarray:
    image = np.atleast_1d(np.squeeze(image))
    return np.pad(image, [(0, max(0, _WINDOW - n)) for n in image.shape], mode="symmetric")
