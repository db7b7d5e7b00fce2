"""In which words and units the columns of results are shown to people."""

from __future__ import annotations

from typing import NamedTuple

from implicore.synth.explore.metrics import METRICS


class Quantity(NamedTuple):
    """A column's title and unit, and what its numbers are multiplied with to be in that unit."""

    title: str
    unit: str = ""
    scale: float = 1.0


UNITS = {
    "um2": ("mm²", 1e-6),
    "mm2": ("mm²", 1.0),
    "voxels/s": ("million voxels/s", 1e-6),
    "voxels/J": ("million voxels/J", 1e-6),
}
"""Of a metric, the unit it is shown in, and how many of these one of its own is."""

OTHERS = {
    "utilization": Quantity("Multiply slots used", "%", 100.0),
    "mj_per_slice": Quantity("Energy of a slice of 256 × 256", "mJ"),
    "pe_area_um2": Quantity("Area of a processing element", "mm²", 1e-6),
    "predicted_area_um2": Quantity("Area, as predicted", "mm²", 1e-6),
    "predicted_area_mm2": Quantity("Area, as predicted", "mm²"),
    "predicted_nj_per_voxel": Quantity("Energy of a voxel, as predicted", "nJ"),
    "seconds": Quantity("Time to find out", "s"),
    "gate_zeros": Quantity("Zeros gated"),
    "source": Quantity("How known"),
    "front": Quantity("On the Pareto front"),
    "feasible": Quantity("Within the constraints"),
    "psnr_db": Quantity("PSNR", "dB"),
}
"""Columns that are no metrics, or are better called by a name of their own."""


def quantity(column: str) -> Quantity:
    """How a column is shown; one that nothing is known of, by its own name."""
    if column in OTHERS:
        return OTHERS[column]
    if column in METRICS:
        metric = METRICS[column]
        return Quantity(_capital(metric.title), *UNITS.get(metric.unit, (metric.unit,)))
    return Quantity(_capital(column.replace("_", " ")))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
