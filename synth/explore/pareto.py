"""The Pareto front of a table of designs."""

from __future__ import annotations

from collections.abc import Sequence

import moocore
import numpy as np
import pandas as pd

from .metrics import METRICS


def available(table: pd.DataFrame, objectives: Sequence[str]) -> list[str]:
    """Return the objectives with a value in any row; without a program, energy has none."""
    return [name for name in objectives if table[name].notna().any()]


def pareto_front(table: pd.DataFrame, objectives: Sequence[str], near: float = 0.0) -> np.ndarray:
    """Return which rows are nondominated.

    Parameters
    ----------
    table : DataFrame
        Rows with a column for each objective. Objectives without any value are ignored. A row that
        lacks a value of the others is not on the front.
    objectives : sequence of str
        Names of ``METRICS``, which define what is better.
    near : float
        Also return rows that would be nondominated if each of their predicted metrics were better
        by this fraction: 0.05 is 5 %.

    Returns
    -------
    bool array, shape (rows,)
    """
    chosen = np.zeros(len(table), bool)
    objectives = available(table, objectives)
    if not objectives:
        return chosen
    values = table[list(objectives)].to_numpy(float)
    values = values * [1 if METRICS[name].better == "min" else -1 for name in objectives]
    complete = np.flatnonzero(np.isfinite(values).all(axis=1))
    values = values[complete]
    best = moocore.is_nondominated(values, keep_weakly=True)
    if near:
        slack = near * np.array([METRICS[name].predicted for name in objectives])
        improved = values - slack * np.abs(values)
        edge = values[best]
        best = best | [not (edge <= row).all(axis=1).any() for row in improved]
    chosen[complete[best]] = True
    return chosen
