"""Pareto fronts, compared with the definition applied to every pair of rows."""

import numpy as np
import pandas as pd
import pytest

from implicore.synth.explore.metrics import METRICS
from implicore.synth.explore.pareto import pareto_front

OBJECTIVES = ("psnr_db", "nj_per_voxel", "area_mm2")


def table(rows: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({name: rng.integers(1, 12, rows).astype(float) for name in OBJECTIVES})


def dominates(one, other, slack=0.0) -> bool:
    """Whether a row is at least as good in every objective and better in one."""
    better = False
    for name in OBJECTIVES:
        sign = 1 if METRICS[name].better == "min" else -1
        a, b = sign * one[name], sign * other[name]
        if METRICS[name].predicted:
            b -= slack * abs(b)
        if a > b:
            return False
        better |= a < b
    return better or slack > 0


@pytest.mark.parametrize("near", [0.0, 0.3])
def test_exactly_the_nondominated_rows_are_on_the_front(near):
    rows = table(200)
    chosen = pareto_front(rows, OBJECTIVES, near)
    expected = [
        not any(dominates(one, other, near) for index, one in rows.iterrows() if index != number)
        for number, other in rows.iterrows()
    ]
    if near:
        assert (pareto_front(rows, OBJECTIVES) <= chosen).all() and chosen.sum() > 1
    np.testing.assert_array_equal(chosen, expected)


def test_equal_rows_are_all_on_the_front():
    rows = pd.concat([table(1)] * 3, ignore_index=True)
    assert pareto_front(rows, OBJECTIVES).all()


def test_an_objective_without_values_is_ignored():
    rows = table(50)
    without = rows.assign(psnr_db=np.nan)
    expected = pareto_front(rows, OBJECTIVES[1:])
    np.testing.assert_array_equal(pareto_front(without, OBJECTIVES), expected)


def test_a_row_with_a_missing_value_is_not_on_the_front():
    rows = table(50)
    rows.loc[7, list(OBJECTIVES)] = [np.nan, 0.0, 0.0]
    chosen = pareto_front(rows, OBJECTIVES)
    assert not chosen[7] and chosen.any()


def test_an_empty_table_has_an_empty_front():
    assert pareto_front(table(0), OBJECTIVES).shape == (0,)
