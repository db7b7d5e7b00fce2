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
        Its column; the unit is in it.
    title, unit : str
        For people.
    better : str
        ``min`` or ``max``.
    predicted : bool
        Whether it is a model's before synthesis, or exact from the start.
    """

    name: str
    title: str
    unit: str
    better: str
    predicted: bool = True


METRICS = {
    metric.name: metric
    for metric in (
        Metric("psnr_db", "quality against the image", "dB", "max", predicted=False),
        Metric("area_um2", "area", "um2", "min"),
        Metric("area_mm2", "area", "mm2", "min"),
        Metric("logic_area_um2", "area without memories", "um2", "min"),
        Metric("fmax_mhz", "greatest clock", "MHz", "max"),
        Metric("clock_mhz", "clock", "MHz", "max"),
        Metric("power_mw", "power", "mW", "min"),
        Metric("pj_per_mac", "energy of a multiply-accumulate", "pJ", "min"),
        Metric("nj_per_voxel", "energy of a voxel", "nJ", "min"),
        Metric("voxels_per_second", "throughput", "voxels/s", "max"),
        Metric("voxels_per_joule", "voxels of a joule", "voxels/J", "max"),
        Metric("utilization", "multiply slots used", "", "max", predicted=False),
        Metric("cycles_per_slice", "cycles of a slice of 256 x 256", "", "min", predicted=False),
    )
}

OBJECTIVES = ("psnr_db", "nj_per_voxel", "area_mm2", "voxels_per_second")
"""The objectives of the Pareto front unless a sweep says otherwise."""


def metric(name: str) -> Metric:
    """The metric of this name; BadInput, naming all, if there is none."""
    if name not in METRICS:
        raise BadInput(f"{name} is no metric of a design: choose one of {', '.join(METRICS)}.")
    return METRICS[name]
