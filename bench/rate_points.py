"""Points of a rate-distortion curve, and interpolation between them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from implicore.model.metrics import psnr, ssim

PEAK = 255


class Point(NamedTuple):
    """The size and the quality of one encoding of a volume."""

    bits_per_voxel: float
    psnr_db: float
    ssim: float


def point(data: np.ndarray, decoded: np.ndarray, size: int) -> Point:
    """Compare ``decoded``, made from ``size`` bytes, with ``data``."""
    return Point(8 * size / data.size, psnr(data, decoded, PEAK), ssim(data, decoded, PEAK))


def at_rate(points: list[Point], bits_per_voxel: float) -> Point | None:
    """Interpolate a codec's quality at a rate, linearly in the logarithm of the rate.

    Return None outside the measured rates.
    """
    points = sorted(points)
    rates = [point.bits_per_voxel for point in points]
    if not rates or not rates[0] <= bits_per_voxel <= rates[-1]:
        return None
    log_rate = np.log(bits_per_voxel)
    levels = ([getattr(p, field) for p in points] for field in ("psnr_db", "ssim"))
    return Point(bits_per_voxel, *(float(np.interp(log_rate, np.log(rates), y)) for y in levels))


def rate_for(points: list[Point], psnr_db: float) -> float | None:
    """Interpolate the bits per voxel for a PSNR; None outside the measured range."""
    points = sorted(points, key=lambda point: point.psnr_db)
    levels = [point.psnr_db for point in points]
    if not levels or not levels[0] <= psnr_db <= levels[-1]:
        return None
    return float(np.exp(np.interp(psnr_db, levels, np.log([p.bits_per_voxel for p in points]))))
