"""How busy the array is while a job runs: the hardware's own counters, read again and again."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import numpy as np

from implicore.accelerator_config import AcceleratorConfig
from implicore.atomic import atomic_write

from . import fast, session

FINE, FINE_WINDOWS = 64, 80
"""The job's beginning, in which the pipeline fills, is looked at in windows of so many cycles."""

WINDOWS = 160
"""Of equal length, for the rest."""

COLUMNS = ("cycles", "active_cycles", "voxels")


def follow(
    config: AcceleratorConfig, operations: Sequence, begin: int, cycles: int
) -> list[tuple[int, int, int]]:
    """Read the counters of a grid job while it runs, in a run of its own by the compiled simulator.

    Each reading takes some ten cycles in which no voxel is taken; the voxels wait in the output
    buffer meanwhile, and the array goes on.

    Parameters
    ----------
    config : AcceleratorConfig
    operations : sequence
        A session with one grid job, which the last ``Decode`` is of.
    begin : int
        Number of the operation at which the job begins.
    cycles : int
        That the job takes.

    Returns
    -------
    list of (cycles, active cycles, voxels)
        All since the beginning: cycles, those in which the array was given operands, both by the
        hardware's counters, and voxels taken. The first entry is zero, the last one the job's end.
    """
    job = next(
        n for n in range(begin, len(operations)) if isinstance(operations[n], session.Decode)
    )
    limit = operations[job].limit
    coarse = -(-cycles // WINDOWS)
    rest = -(-limit // coarse)  # up to the limit that a job may take; after its end, for nothing
    steps = [session.Read("cycles"), session.Read("active_cycles")]
    pieces = []
    for window in [FINE] * FINE_WINDOWS + [coarse] * rest:
        pieces += [session.Decode(window), *steps]
    responses = fast.build(config).run([*operations[:job], *pieces])
    values = iter(responses.values[job:])
    readings, voxels = [(0, 0, 0)], 0
    for decoded, now, active in zip(values, values, values, strict=True):
        voxels += len(decoded.voxels)
        readings.append((now, active, voxels))
        if decoded.ended:
            break
    return readings


def save_timeline(path: str | Path, readings: list[tuple[int, int, int]]) -> None:
    """Write what ``follow`` returns as CSV, with ``COLUMNS`` as its first line."""
    with atomic_write(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(readings)


def load_timeline(file: TextIO) -> np.ndarray:
    """What ``save_timeline`` wrote, int64 of shape (readings, 3)."""
    return np.loadtxt(file, dtype=np.int64, delimiter=",", skiprows=1, ndmin=2)
