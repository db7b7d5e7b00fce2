"""Titles and units in which the pages show the columns of results."""

from __future__ import annotations

from typing import NamedTuple

from implicore.synth.explore.metrics import METRICS


class Quantity(NamedTuple):
    """Title and unit of a column, and the factor that converts its numbers to that unit."""

    title: str
    unit: str = ""
    scale: float = 1.0


UNITS = {
    "um2": ("mm²", 1e-6),
    "mm2": ("mm²", 1.0),
    "voxels/s": ("million voxels/s", 1e-6),
    "voxels/J": ("million voxels/J", 1e-6),
}
"""Unit in which a metric is shown, and the factor to it, by the metric's own unit."""

OTHERS = {
    "utilization": Quantity("MAC slots used", "%", 100.0),
    "mj_per_slice": Quantity("Energy per slice of 256 × 256", "mJ"),
    "pe_area_um2": Quantity("Area of a processing element", "mm²", 1e-6),
    "predicted_area_um2": Quantity("Predicted area", "mm²", 1e-6),
    "predicted_area_mm2": Quantity("Predicted area", "mm²"),
    "predicted_nj_per_voxel": Quantity("Predicted energy per voxel", "nJ"),
    "seconds": Quantity("Synthesis time", "s"),
    "gate_zeros": Quantity("Zero gating"),
    "source": Quantity("Source"),
    "front": Quantity("On the Pareto front"),
    "feasible": Quantity("Meets the constraints"),
}
"""Columns that are not metrics or have another title or unit than their metric."""


def quantity(column: str) -> Quantity:
    """Return title and unit of a column. An unknown column is shown by its name."""
    if column in OTHERS:
        return OTHERS[column]
    if column in METRICS:
        metric = METRICS[column]
        return Quantity(_capital(metric.title), *UNITS.get(metric.unit, (metric.unit,)))
    return Quantity(_capital(column.replace("_", " ")))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
