"""The page of a sweep: a scatter plot, filters, a table, and details of the selected point."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from plotly.offline import get_plotlyjs

from implicore.errors import BadInput
from implicore.synth.explore.results import DESCRIPTION, FAILED, PREDICTED, SYNTHESIZED, TABLE

from . import plots
from .page import inline_png, read_json, write_page
from .quantities import quantity

BETTER = {"min": "lowest", "max": "highest"}

CHOICES = 12
"""Greatest number of different entries for which a column is filtered by them."""

DIGITS = 6
"""Significant digits of a number in the page."""

PANELS = (
    ("area_mm2", "nj_per_voxel"),
    ("area_mm2", "voxels_per_second"),
    ("nj_per_voxel", "psnr_db"),
)
"""Horizontal and vertical metric of each plot in the files."""


def sweep_page(folder: str | Path) -> Path:
    """Write ``report.html``, ``front.png`` and ``front.svg`` into a sweep's folder.

    Parameters
    ----------
    folder : path-like
        Folder with ``results.parquet``, ``sweep.json`` and the pictures in ``images``.

    Returns
    -------
    Path
        The page, a single file that works offline.

    Raises
    ------
    BadInput
        A file is missing or damaged, or cannot be written.
    """
    folder = Path(folder)
    description = read_json(folder / DESCRIPTION)
    rows = read_results(folder / TABLE)
    objectives = description.get("objectives", {})
    plot = front_plots(rows)
    if plot is not None:
        plots.save(plot, folder / "front")
    return write_page(
        folder,
        "sweep.html",
        sweep=_summary(folder, description, rows),
        data=_data(folder, rows, objectives, description),
        plotly=get_plotlyjs(),
    )


def read_results(path: Path) -> list[dict]:
    """Read the rows of a results table, with None for empty cells and a dictionary of blocks."""
    try:
        content = io.BytesIO(path.read_bytes())
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from None
    try:
        table = pd.read_parquet(content)
    except (ValueError, OSError):  # the bases of pyarrow's errors
        raise BadInput(f"{path} is damaged: it is not a table of results.") from None
    if table.empty:
        raise BadInput(f"{path} contains no points.")
    rows = table.astype(object).where(table.notna(), None).to_dict("records")
    for row in rows:
        row["blocks"] = json.loads(row.get("blocks") or "{}")
    return rows


def title_of(row: dict) -> str:
    """Return the title of a point: its array, formats and network."""
    size = f"{row['rows']} × {row['columns']}" if row.get("rows") else row["point"]
    return " ".join(str(part) for part in (size, row.get("formats"), row.get("network")) if part)


def front_plots(
    rows: Sequence[dict],
    panels: Sequence[tuple[str, str]] = PANELS,
    size: tuple[float, float] = (3.6, 3.1),
    *,
    legend: bool = True,
) -> Figure | None:
    """Plot results in panels, each of two metrics; None if they have the metrics of no panel."""
    kept = [row for row in rows if row.get("source") != FAILED]
    names = {name for panel in panels for name in panel}
    columns = {
        name: np.array([_scaled(name, row.get(name), math.nan) for row in kept], float)
        for name in names
    }
    shown = [
        tuple((name, quantity(name)) for name in panel)
        for panel in panels
        if all(np.isfinite(columns[name]).any() for name in panel)
    ]
    if not shown:
        return None
    front = np.array([row.get("front") is True for row in kept], bool)
    synthesized = np.array([row.get("source") == SYNTHESIZED for row in kept], bool)
    return plots.scatter(shown, columns, front, synthesized, size=size, legend=legend)


def _scaled(name: str, value, absent=None):
    """Convert a value to the unit in which its column is shown."""
    if value is None:
        return absent
    scale = quantity(name).scale
    return value if scale == 1 or isinstance(value, str | bool) else value * scale


def _summary(folder: Path, description: dict, rows: Sequence[dict]) -> dict:
    """Return the texts of the page."""
    count = {source: 0 for source in (PREDICTED, SYNTHESIZED, FAILED)}
    for row in rows:
        count[row.get("source") or PREDICTED] += 1
    target = description.get("target", "")
    where = f" for {target}" if target else ""
    counts = ", ".join(f"{number:,} {source}" for source, number in count.items() if number)
    constraints = description.get("constraints") or []
    within = f" Constraints: {'; '.join(constraints)}." if constraints else ""
    objectives = description.get("objectives", {})
    origin = ", ".join(filter(None, (target, description.get("corner"))))
    return {
        "name": folder.resolve().name,
        "title": f"{len(rows):,} accelerators{where}",
        "summary": f"{counts}.{within}",
        "objectives": ", ".join(
            f"{BETTER.get(way, way)} {_inside(quantity(name).title)}"
            for name, way in objectives.items()
        )
        or "none given",
        "origin": f"{origin}." if origin else "",
        "left_out": description.get("left_out") or [],
    }


def _inside(title: str) -> str:
    """Return a title for use within a sentence: only an abbreviation keeps its capital."""
    return title if title[1:2].isupper() else title[:1].lower() + title[1:]


def _data(folder: Path, rows: Sequence[dict], objectives: dict, description: dict) -> dict:
    """Return the data of the page's script, see sweep.js."""
    pictures = {}
    for row in rows:
        row["image"] = row.get("image") or f"images/{row.get('formats')}.png"
        if row["image"] not in pictures and (folder / row["image"]).is_file():
            pictures[row["image"]] = inline_png(folder / row["image"])
    source = folder / "images" / "source.png"
    hidden = {"blocks"} | ({"area_um2"} if "area_mm2" in rows[0] else set())
    names = [name for name in rows[0] if name not in hidden]
    columns = {name: _column(name, [row.get(name) for row in rows], objectives) for name in names}
    plottable = [name for name, one in columns.items() if one["kind"] == "number" and one["varies"]]
    if not plottable:
        raise BadInput(
            f"{folder / TABLE} has no metric that differs between points: sweep over more values."
        )
    preferred = ("area_mm2", "nj_per_voxel", *objectives, *plottable)
    x, y = _first(preferred, plottable, 2)
    colours = [name for name in ("formats", "network", "psnr_db", *plottable) if name in columns]
    color = next((name for name in colours if columns[name]["varies"]), x)
    merits = ("psnr_db", "area_mm2", "fmax_mhz", "nj_per_voxel", "voxels_per_second")
    merits = (*objectives, *merits, "utilization")
    shown = [name for name in dict.fromkeys(merits) if name in columns]
    best = [number for number, row in enumerate(rows) if row.get("front") is True]
    # Begin with the middle of the Pareto front, neither the smallest design nor the fastest.
    best.sort(key=lambda number: rows[number].get(x) or 0)
    return {
        "rows": len(rows),
        "columns": columns,
        "blocks": _blocks(rows),
        "titles": [title_of(row) for row in rows],
        "shown": shown,
        "axes": {"x": x, "y": y, "color": color},
        "first": best[len(best) // 2] if best else None,
        "image": description.get("image"),
        "images": {
            "source": inline_png(source) if source.is_file() else None,
            "decoded": pictures,
        },
    }


def _first(preferred: Sequence[str], present: Sequence[str], count: int) -> list[str]:
    """Return the first names that are present, the last one repeated if there are too few."""
    found = [name for name in dict.fromkeys(preferred) if name in present][:count]
    return found + found[-1:] * (count - len(found))


def _column(name: str, values: list, objectives: dict) -> dict:
    """Return a column for the script: numbers, or the distinct entries and indices into them."""
    title, unit, _ = quantity(name)
    present = [value for value in values if value is not None]
    different = set(present)
    kind = "text"
    if different and all(type(value) in (int, float) for value in different):
        kind = "number"
    if kind == "text" and all(isinstance(value, bool) for value in different):
        kind = "truth"
    column = {
        "title": title,
        "unit": unit,
        "kind": kind,
        "varies": len(different) > 1,
        "better": objectives.get(name),
        "filter": _filter(name, kind, different, objectives),
    }
    if kind == "number":
        column["values"] = [_rounded(_scaled(name, value)) for value in values]
    else:
        levels = sorted(different, key=str)
        codes = {level: code for code, level in enumerate(levels)}
        column["levels"] = levels
        column["values"] = [None if value is None else codes[value] for value in values]
    return column


def _filter(name: str, kind: str, different: set, objectives: dict) -> str | None:
    """Return how a column is filtered: by ``choice`` of entries, by ``range``, or None."""
    if name in objectives and kind == "number":
        return "range"
    if name in ("command", "error", "image", "point") or len(different) > CHOICES:
        return None
    discrete = all(isinstance(value, int | str | bool) for value in different)
    return "choice" if discrete else None


def _blocks(rows: Sequence[dict]) -> dict:
    """Return area in mm2 and power in mW of every point, by block."""
    blocks: dict[str, dict[str, list]] = {}
    for number, row in enumerate(rows):
        for block, values in (row.get("blocks") or {}).items():
            columns = blocks.setdefault(
                block, {"area": [None] * len(rows), "power": [None] * len(rows)}
            )
            columns["area"][number] = _rounded(_scaled("area_um2", values.get("area_um2")))
            columns["power"][number] = _rounded(values.get("power_mw"))
    return blocks


def _rounded(value):
    if not isinstance(value, float) or not value:
        return value
    return float(f"{value:.{DIGITS}g}")
