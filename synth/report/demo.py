"""The page of the demo: pictures of the decoded scan and metrics of the hardware."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from implicore.errors import BadInput
from implicore.formats import Formats
from implicore.network_shape import NETWORKS, PRESET_PATCHES
from implicore.patch import POINT
from implicore.sim.timeline import load_timeline

from . import plots
from .page import data_png, inline_png, read_json, write_page
from .sweep import front_plots, read_results, title_of

RECORD = "demo.json"
"""File in which ``implicore demo`` records its steps."""

REGION = (0.20, 0.16, 0.56, 0.48)
"""Magnified region: left, top, right and bottom as fractions of the slice."""

FILLING = 4000
"""Cycles shown in the first plot of utilization."""

SIDES = {"Patches": ("patch", ""), "Single voxels": ("demo", "_point")}
"""The two networks that the demo compares: preset, and suffix of the steps' names."""

SLICE = 256 * 256
"""Voxels of the slices in which speed is given."""

PANELS = (("area_mm2", "nj_per_voxel"), ("area_mm2", "voxels_per_second"))

PLOT = (4.3, 2.9)
"""Size in inches; on a phone, the text of the plots is as large as that of the page."""


def demo_page(folder: str | Path) -> Path:
    """Write ``report.html`` into a demo's folder.

    Parameters
    ----------
    folder : path-like
        Folder of a finished ``implicore demo``.

    Returns
    -------
    Path
        The page, a single file that works offline.

    Raises
    ------
    BadInput
        The demo is not finished, or a file is missing or damaged.
    """
    folder = Path(folder)
    record = read_json(folder / RECORD)
    steps = record.get("steps", {})
    for name in RESULTS:
        if name not in steps:
            raise BadInput(
                f"The demo in {folder} is not finished ({name} is missing): continue it with "
                f"implicore demo -o {folder}."
            )
    metrics = {name: step["metrics"] for name, step in steps.items()}
    readings = _timeline(folder / "timeline.csv")
    rows = read_results(folder / "sweep" / "results.parquet")
    zoomed, original = _magnified(folder)
    fronts = [front_plots(rows, [panel], PLOT, legend=False) for panel in PANELS]
    return write_page(
        folder,
        "demo.html",
        m=metrics,
        array=title_of({**metrics["generate"]["config"], "formats": None}),
        pictures={
            name: inline_png(folder / "slice" / f"{name}.png")
            for name in ("source", "golden", "hardware", "loss", "wrong")
        },
        zoomed=zoomed,
        original=original,
        filling=plots.inline(
            active_plot(readings, FILLING),
            "Active cycles of the array while the pipeline fills",
        ),
        whole=plots.inline(
            active_plot(readings), "Active cycles of the array over the whole slice"
        ),
        started=int(readings[np.flatnonzero(readings[:, 1])[0] - 1, 0]),
        area=_bars(metrics["synth"], "area_um2", 1e-6),
        energy=_bars(metrics["synth"], "power_mw", _nanojoules(metrics["synth"])),
        fronts=[
            plots.inline(front, "Points of the sweep; those on the Pareto front are highlighted")
            for front in fronts
            if front is not None
        ],
        predicted=_predicted(rows, metrics["generate"]["config"]),
        steps=[{**steps[name], "result": RESULTS[name](metrics[name])} for name in RESULTS],
        facts=facts(metrics),
        compared=compared(metrics),
        sides=list(SIDES),
        figures=_figures,
        times=metrics["synth_point"]["nj_per_voxel"] / metrics["synth"]["nj_per_voxel"],
        files=_files(folder / "verilog", metrics["generate"]["files"]),
        verilog=folder.resolve() / "verilog",
    )


def facts(metrics: dict) -> list[dict]:
    """Return the main metrics: name, number, unit, and what it is measured on."""
    synth, slice_ = metrics["synth"], metrics["simulate"]
    return [
        {
            "name": "Quality",
            "number": f"{metrics['compile']['psnr_db']:.1f}",
            "unit": "dB PSNR",
            "note": f"program against the scan, all {metrics['render']['voxels']:,} voxels",
        },
        {
            "name": "Utilization",
            "number": f"{100 * slice_['utilization']:.2f}",
            "unit": "%",
            "note": "of the MAC slots, from the hardware's counters, over a whole slice",
        },
        {
            "name": "Area",
            "number": f"{synth['area_um2'] / 1e6:.2f}",
            "unit": "mm²",
            "note": f"{synth['logic_area_um2'] / 1e6:.2f} mm² without memories",
        },
        {
            "name": "Clock",
            "number": f"{synth['fmax_mhz']:.0f}",
            "unit": "MHz",
            "note": f"a processing element alone: {synth['pe_fmax_mhz']:.0f} MHz",
        },
        {
            "name": "Energy",
            "number": _figures(synth["nj_per_voxel"]),
            "unit": "nJ/voxel",
            "note": f"{synth['pj_per_mac']:.2f} pJ per multiply-accumulate, "
            f"{synth['power_mw']:.0f} mW",
        },
        {
            "name": "Speed",
            "number": _figures(synth["voxels_per_second"] / SLICE),
            "unit": "slices/s",
            "note": "of 256 × 256 voxels",
        },
    ]


def compared(metrics: dict) -> list[tuple[str, list[str]]]:
    """Return the rows of the comparison of both networks: title, and the text for each."""
    sides = []
    for preset, suffix in SIDES.values():
        shape, patch = NETWORKS[preset], PRESET_PATCHES.get(preset, POINT)
        fit, program, render, synth = (
            metrics[f"{name}{suffix}"] for name in ("fit", "compile", "render", "synth")
        )
        sides.append(
            {
                "Voxels per pass": " × ".join(map(str, patch)) if patch != POINT else "1",
                "Layers × width": f"{shape.depth} × {shape.width}",
                "Parameters": f"{fit['parameters']:,}",
                "Multiply-accumulates per voxel": f"{shape.macs_per_voxel:,.0f}",
                "Quality of the program": f"{program['psnr_db']:.2f} dB",
                "Size of the program": f"{program['bits_per_voxel']:.2f} bits per voxel",
                "Golden model": f"{_figures(render['voxels_per_second'] / 1e6)} M voxels/s",
                "Energy": f"{_figures(synth['nj_per_voxel'])} nJ per voxel",
                "Speed": f"{_figures(synth['voxels_per_second'] / SLICE)} slices/s",
                "Area": f"{synth['area_um2'] / 1e6:.2f} mm²",
            }
        )
    return [(title, [side[title] for side in sides]) for title in sides[0]]


def _figures(value: float) -> str:
    """Return a number with three figures, or as many as its integer part has."""
    return f"{value:,.{max(0, 2 - math.floor(math.log10(value)))}f}"


def summary(metrics: dict, folder: Path) -> list[tuple[str, str]]:
    """Return the summary for the terminal: name and value of each line."""
    lines = [(fact["name"], f"{fact['number']} {fact['unit']}") for fact in facts(metrics)]
    for title, (_, suffix) in SIDES.items():
        program, cost = metrics[f"compile{suffix}"], metrics[f"synth{suffix}"]
        text = (
            f"{program['psnr_db']:.1f} dB, {program['bits_per_voxel']:.2f} bits and "
            f"{_figures(cost['nj_per_voxel'])} nJ per voxel, "
            f"{_figures(cost['voxels_per_second'] / SLICE)} slices/s"
        )
        lines.append((title, text))
    synth = metrics["synth"]
    lines.append(("Library", f"{synth['target']}, {synth['corner']}"))
    return [*lines, ("Verilog", str(folder / "verilog" / "implicore.v"))]


def _simulated(one: dict) -> str:
    predicted = "as predicted" if one["cycles"] == one["predicted_cycles"] else "not as predicted"
    status = "all equal to the golden model's"
    if one["mismatches"]:
        status = f"{one['mismatches']:,} different from the golden model's"
    return f"{one['voxels']:,} voxels, {status}; {one['cycles']:,} cycles, {predicted}"


def _fitted(one: dict) -> str:
    return f"{one['psnr_db']:.1f} dB with {one['parameters']:,} parameters, {one['steps']:,} steps"


def _compiled(one: dict) -> str:
    return (
        f"{one['psnr_db']:.1f} dB, {one['loss_db']:.2f} dB less than the network; "
        f"{one['bytes']:,} bytes, {one['bits_per_voxel']:.2f} bits per voxel"
    )


def _rendered(one: dict) -> str:
    return f"{one['voxels']:,} voxels, {one['psnr_db']:.1f} dB, SSIM {one['ssim']:.3f}"


def _synthesized(one: dict) -> str:
    return (
        f"{one['area_um2'] / 1e6:.2f} mm², {one['fmax_mhz']:.0f} MHz, "
        f"{_figures(one['nj_per_voxel'])} nJ per voxel"
    )


RESULTS = {
    "fit": _fitted,
    "compile": _compiled,
    "render": _rendered,
    "fit_point": _fitted,
    "compile_point": _compiled,
    "render_point": _rendered,
    "render_zoom": lambda one: f"{one['voxels']:,} voxels",
    "generate": lambda one: f"{one['modules']} modules, {one['bytes']:,} bytes of Verilog",
    "simulate_icarus": _simulated,
    "simulate_verilator": _simulated,
    "simulate": _simulated,
    "synth": _synthesized,
    "synth_point": _synthesized,
    "sweep": lambda one: (
        f"{one['points']:,} accelerators, {one['failed']} failed, "
        f"{len(one['pareto'])} on the Pareto front"
    ),
}
"""Result of each step of the demo in words, in order of the steps."""


def _timeline(path: Path) -> np.ndarray:
    try:
        with open(path, encoding="utf-8") as file:
            readings = load_timeline(file)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise BadInput(f"{path} is damaged: it is not a timeline.") from None
    if not len(np.flatnonzero(readings[:, 1])):
        raise BadInput(f"{path} is damaged: the array has no active cycles.")
    return readings


def active_plot(readings: np.ndarray, until: int | None = None) -> Figure:
    """Plot the share of active cycles in each window of time.

    Parameters
    ----------
    readings : int array of shape (readings, 3)
        Cycles, active cycles and voxels since the beginning, see ``sim.timeline``.
    until : int, optional
        Last cycle to show. The default is all.
    """
    cycles, active, _ = readings.T
    share = 100 * np.diff(active) / np.diff(cycles)
    million = until is None
    across = cycles / 1e6 if million else cycles
    with plots.style():
        figure = Figure(figsize=PLOT, layout="constrained")
        axes = figure.add_subplot()
        axes.stairs(share, across, fill=True, color=plots.ACCENT, alpha=0.25, linewidth=0)
        axes.stairs(share, across, color=plots.ACCENT, linewidth=1.4, baseline=None)
        axes.set_ylim(0, 108)
        axes.set_xlim(0, until if until else across[-1])
        axes.set_ylabel("active cycles, %")
        axes.set_xlabel("million cycles" if million else "cycles since the first point")
        axes.set_title("the whole slice" if million else f"the first {until:,} cycles")
    return figure


def _magnified(folder: Path) -> tuple[str, str]:
    """Return the magnified region, decoded on the finer grid and from the scan, as data URLs."""
    images = []
    for path in (folder / "zoom.png", folder / "slice" / "source.png"):
        try:
            images.append(Image.open(path).convert("L"))
        except OSError as error:
            raise BadInput(f"{path} cannot be read: {error.strerror or 'damaged'}.") from None
    voxels = np.array(images[1].size * 2)
    box = (voxels * REGION).round()
    regions = []
    for image in images:
        file = io.BytesIO()
        pixels = box * np.array(image.size * 2) / voxels
        image.crop(pixels.round().astype(int).tolist()).save(file, format="PNG")
        regions.append(data_png(file.getvalue()))
    return regions[0], regions[1]


def _nanojoules(synth: dict) -> float:
    """Return the factor from mW to nJ per voxel."""
    return 1e6 / synth["voxels_per_second"]


def _bars(synth: dict, metric: str, scale: float) -> list[dict]:
    """Return the blocks by decreasing value of a metric, with shares of greatest and total."""
    blocks = synth["blocks"].items()
    found = {block: row[metric] * scale for block, row in blocks if metric in row}
    largest, total = max(found.values()), sum(found.values())
    return [
        {"block": block, "value": value, "of_largest": value / largest, "of_total": value / total}
        for block, value in sorted(found.items(), key=lambda item: -item[1])
    ]


def _predicted(rows: list[dict], config: dict) -> dict | None:
    """Return the sweep's row of the synthesized accelerator, or None."""
    fields = {**config, "formats": str(Formats(**config["formats"]))}
    for row in rows:
        complete = row.get("area_mm2") and row.get("nj_per_voxel")
        if complete and all(row.get(name) == value for name, value in fields.items()):
            return row
    return None


def _files(folder: Path, names: list[str]) -> list[tuple[str, int]]:
    """Return the existing files of a folder with their sizes in bytes."""
    return [(name, (folder / name).stat().st_size) for name in names if (folder / name).is_file()]
