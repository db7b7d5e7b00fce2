"""Output of the subcommands: reports and progress bars, both silenced by ``--quiet``."""

from __future__ import annotations

import argparse


def say(options: argparse.Namespace, text: str) -> None:
    """Print a line of the report."""
    if not options.quiet:
        print(text)


def progress_bar(options: argparse.Namespace, total: int, text: str, unit: str = "voxel"):
    """Return a tqdm progress bar, a context manager."""
    from tqdm import tqdm

    return tqdm(
        total=total,
        desc=text,
        unit=unit,
        unit_scale=unit == "voxel",
        disable=options.quiet,
        leave=False,
        delay=1,  # seconds: short work shows no bar
    )


def plain(value) -> str:
    """Format a metric: floats with six significant digits, containers entry by entry."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {plain(entry)}" for key, entry in value.items())
    if isinstance(value, list | tuple):
        return " ".join(plain(entry) for entry in value) or "none"
    return str(value)
