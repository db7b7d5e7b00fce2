"""The metrics of a design: one table for objectives, Pareto fronts, selections and pages."""

from __future__ import annotations

from dataclasses import dataclass

from implicore.errors import BadInput


@dataclass(frozen=True)
class Metric:
    """One metric of a design.

    Attributes
    ----------
    name : str
        Column of the results, with the unit at its end.
    title, unit : str
        For display.
    better : str
        ``min`` or ``max``.
    predicted : bool
        Whether its value before synthesis is a prediction; False if it is exact.
    """

    name: str
    title: str
    unit: str
    better: str
    predicted: bool = True


METRICS = {
    metric.name: metric
    for metric in (
        Metric("psnr_db", "PSNR", "dB", "max", predicted=False),
        Metric("area_um2", "area", "um2", "min"),
        Metric("area_mm2", "area", "mm2", "min"),
        Metric("logic_area_um2", "area without memories", "um2", "min"),
        Metric("fmax_mhz", "maximum clock", "MHz", "max"),
        Metric("clock_mhz", "clock", "MHz", "max"),
        Metric("power_mw", "power", "mW", "min"),
        Metric("pj_per_mac", "energy per multiply-accumulate", "pJ", "min"),
        Metric("nj_per_voxel", "energy per voxel", "nJ", "min"),
        Metric("voxels_per_second", "throughput", "voxels/s", "max"),
        Metric("voxels_per_joule", "voxels per joule", "voxels/J", "max"),
        Metric("macs_per_voxel", "multiply-accumulates per voxel", "", "min", predicted=False),
        Metric("utilization", "MAC slots used", "", "max", predicted=False),
        Metric("cycles_per_slice", "cycles per slice of 256 x 256", "", "min", predicted=False),
    )
}

OBJECTIVES = ("psnr_db", "nj_per_voxel", "area_mm2", "voxels_per_second")
"""Default objectives of a sweep."""


def metric(name: str) -> Metric:
    """Return the metric of this name; BadInput that lists all names if there is none."""
    if name not in METRICS:
        raise BadInput(f"{name} is not a metric of a design: choose from {', '.join(METRICS)}.")
    return METRICS[name]
