"""The integers that pass between layers, represented as floats."""

from __future__ import annotations

import numpy as np

from implicore.fixed import phase_address
from implicore.formats import Formats
from implicore.sincos import SineTable


def coded_features(
    frequencies: np.ndarray, formats: Formats, coordinates: np.ndarray
) -> np.ndarray:
    """Compute the values (2 L, points) that the sine table's integers represent.

    Parameters
    ----------
    frequencies : integer array, shape (L, 3)
    formats : Formats
    coordinates : integer array, shape (points, 3)
    """
    bits = formats.table_address_bits
    phases = phase_address(frequencies, coordinates, bits)
    table = SineTable(bits, formats.activation_bits)
    codes = np.concatenate([table.cosines[phases], table.sines[phases]])
    return (2.0 * codes + 1) / (1 << formats.activation_bits) - 1


def saturated(values: np.ndarray, scales: np.ndarray, top: int) -> np.ndarray:
    """Round results (neurons, points) to integers from 0 to ``top``, as a requantizer does.

    Exact results are multiples of a power of two. The added millionth corrects ties that
    floating-point errors have left just below one half.
    """
    return np.clip(np.floor(values / scales[:, None] + (0.5 + 1e-6)), 0, top)
