"""Fronts, against every pair of rows looked at one by one."""

import numpy as np
import pandas as pd
import pytest

from implicore.synth.explore.metrics import METRICS
from implicore.synth.explore.pareto import pareto_front

OBJECTIVES = ("psnr_db", "nj_per_voxel", "area_mm2")


def table(rows: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({name: rng.integers(1, 12, rows).astype(float) for name in OBJECTIVES})


def beats(one, other, slack=0.0) -> bool:
    """Whether a row is as good in everything and better in something."""
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
def test_no_row_on_the_front_is_beaten_and_every_other_is(near):
    rows = table(200)
    chosen = pareto_front(rows, OBJECTIVES, near)
    expected = [
        not any(beats(one, other, near) for index, one in rows.iterrows() if index != number)
        for number, other in rows.iterrows()
    ]
    if near:
        assert (pareto_front(rows, OBJECTIVES) <= chosen).all() and chosen.sum() > 1
    np.testing.assert_array_equal(chosen, expected)


def test_equal_rows_are_on_it_together():
    rows = pd.concat([table(1)] * 3, ignore_index=True)
    assert pareto_front(rows, OBJECTIVES).all()


def test_an_objective_that_no_row_has_is_not_asked_for():
    rows = table(50)
    without = rows.assign(psnr_db=np.nan)
    expected = pareto_front(rows, OBJECTIVES[1:])
    np.testing.assert_array_equal(pareto_front(without, OBJECTIVES), expected)


def test_a_row_without_a_figure_is_not_on_the_front():
    rows = table(50)
    rows.loc[7, list(OBJECTIVES)] = [np.nan, 0.0, 0.0]
    chosen = pareto_front(rows, OBJECTIVES)
    assert not chosen[7] and chosen.any()


def test_nothing_is_on_the_front_of_nothing():
    assert pareto_front(table(0), OBJECTIVES).shape == (0,)
