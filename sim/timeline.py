"""A timeline of a job: the hardware's counters, read periodically while it runs."""

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
"""Cycles and number of the windows at the start of a job, while the pipeline fills."""

WINDOWS = 160
"""Windows of equal length that cover the job after the fine ones."""

COLUMNS = ("cycles", "active_cycles", "voxels")


def follow(
    config: AcceleratorConfig, operations: Sequence, begin: int, cycles: int
) -> list[tuple[int, int, int]]:
    """Read the counters of a grid job while it runs, in a separate run of the compiled simulator.

    A reading takes about ten cycles, in which no voxel is received. The voxels wait in the output
    buffer meanwhile, and the array continues.

    Parameters
    ----------
    config : AcceleratorConfig
    operations : sequence
        A session with one grid job; its last ``Decode`` receives the job's voxels.
    begin : int
        Index of the first operation of the job.
    cycles : int
        Cycles of the job.

    Returns
    -------
    list of (cycles, active cycles, voxels)
        Counters of the hardware and voxels received since the start of the job. The first entry
        is zero, the last one is at the job's end.
    """
    job = next(
        n for n in range(begin, len(operations)) if isinstance(operations[n], session.Decode)
    )
    limit = operations[job].limit
    coarse = -(-cycles // WINDOWS)
    rest = -(-limit // coarse)  # up to the job's timeout; windows after its end receive nothing
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
    """Write the readings of ``follow`` as CSV, with ``COLUMNS`` as the first line."""
    with atomic_write(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(readings)


def load_timeline(file: TextIO) -> np.ndarray:
    """Read the file of ``save_timeline``, int64 of shape (readings, 3)."""
    return np.loadtxt(file, dtype=np.int64, delimiter=",", skiprows=1, ndmin=2)
