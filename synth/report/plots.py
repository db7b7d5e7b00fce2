"""Matplotlib plots, as files and embedded in a page with the page's light or dark colours."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import numpy as np
from markupsafe import escape
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from implicore.atomic import atomic_write

from .quantities import Quantity

INK, SOFT, LINE, ACCENT, SECOND = "#16202a", "#55626f", "#d9dfe4", "#0b6a75", "#b3560b"
"""The page's colours on a light background, as in style.css."""

NAMES = {INK: "--ink", SOFT: "--soft", LINE: "--line", ACCENT: "--accent", SECOND: "--second"}

STYLE = {
    "font.size": 9,
    "axes.labelsize": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.edgecolor": LINE,
    "axes.labelcolor": SOFT,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "svg.fonttype": "none",  # text in the page's font, which can be searched
    "svg.hashsalt": "implicore",  # equal plots are equal files
    "savefig.dpi": 200,
}


RASTERIZED_FROM = 1000
"""Number of points above which they are pixels in an SVG file, to limit its size."""

LOG_RATIO = 20
"""Ratio of greatest to least value above which an axis is logarithmic."""


@contextmanager
def style():
    """Draw in the style of the pages within this context."""
    with matplotlib.rc_context(STYLE):
        yield


def save(figure: Figure, stem: Path) -> None:
    """Write a figure as PNG and SVG."""
    with style():
        for ending in (".png", ".svg"):
            # Without a date, equal figures are equal files.
            metadata = {"Date": None} if ending == ".svg" else None
            with atomic_write(stem.with_suffix(ending)) as temporary:
                figure.savefig(temporary, format=ending[1:], metadata=metadata, facecolor="white")


def inline(figure: Figure, text: str) -> str:
    """Return a figure as an SVG element in the page's colours, with ``text`` as its description."""
    file = io.StringIO()
    with style():
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    for colour, name in NAMES.items():
        svg = svg.replace(colour, f"var({name})")
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(text)}"', 1)


def scatter(
    panels: Sequence[tuple[tuple[str, Quantity], tuple[str, Quantity]]],
    columns: dict[str, np.ndarray],
    front: np.ndarray,
    synthesized: np.ndarray,
    *,
    size: tuple[float, float],
    legend: bool,
) -> Figure:
    """Plot points in a panel for each pair of metrics, with those on the Pareto front highlighted.

    Parameters
    ----------
    panels : sequence of pairs of (column, Quantity)
        Horizontal and vertical quantity of each panel.
    columns : dict of str to float array of shape (points,)
        Values in the unit shown; NaN where a point has none.
    front, synthesized : bool arrays of shape (points,)
    size : (float, float)
        Width and height of one panel in inches.
    legend : bool
    """
    with style():
        figure = Figure(figsize=(size[0] * len(panels), size[1]), layout="constrained")
        for number, ((x, x_quantity), (y, y_quantity)) in enumerate(panels):
            axes = figure.add_subplot(1, len(panels), number + 1)
            for chosen, colour, layer in ((~front, SOFT, 2), (front, SECOND, 3)):
                for filled in (False, True):
                    drawn = chosen & (synthesized == filled)
                    axes.plot(
                        columns[x][drawn],
                        columns[y][drawn],
                        "o",
                        markersize=5 if filled else 4,
                        markerfacecolor=colour if filled else "none",
                        markeredgecolor=colour,
                        markeredgewidth=1.1,
                        alpha=1.0 if colour == SECOND else 0.65,
                        zorder=layer,
                        rasterized=drawn.sum() > RASTERIZED_FROM,
                    )
            for name, axis, set_scale in (
                (x, axes.xaxis, axes.set_xscale),
                (y, axes.yaxis, axes.set_yscale),
            ):
                finite = columns[name][np.isfinite(columns[name])]
                if len(finite) and finite.min() > 0 and finite.max() > LOG_RATIO * finite.min():
                    set_scale("log")
                    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
                    axis.set_minor_formatter(NullFormatter())
            axes.set_xlabel(_label(x_quantity))
            axes.set_ylabel(_label(y_quantity))
        if legend:
            figure.legend(
                [_mark(SECOND, True), _mark(SOFT, True), _mark(SOFT, False)],
                ["on the Pareto front", "not on it", "hollow: predicted"],
                loc="outside upper left",
                ncols=3,
                frameon=False,
                fontsize=8.5,
            )
        return figure


def _mark(colour: str, filled: bool) -> Line2D:
    face = colour if filled else "none"
    return Line2D(
        [], [], marker="o", linestyle="", markersize=5, color=colour, markerfacecolor=face
    )


def _label(quantity: Quantity) -> str:
    return f"{quantity.title}, {quantity.unit}" if quantity.unit else quantity.title
