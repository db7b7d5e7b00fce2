"""Choosing sigma, the standard deviation of the frequencies, by short trainings."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from .schedule import Budget, learning_rate
from .trainer import Trainer

PROBE_SHARE = 0.02
PROBE_STEPS = 150
PROBE_BATCH = 2048
"""A candidate is trained for this share of the budget, at most for this number of steps, in batches
of this number of points."""

PROBE_RATIO = 2**0.5
"""Ratio between neighbouring candidates."""

PROBE_LIMIT = 6
"""Candidates lie within this many ratios of 1: from 1/8 to 8 turns per unit of coordinate."""

PROBE_BIAS = 1.15
"""The best sigma after the training over the best after a probe: fine detail is learned late."""


def probe_sigma(
    try_sigma: Callable[[float], float], known: dict[int, float] | None = None
) -> float:
    """Choose sigma by descending from 1 to the least loss in steps of ``PROBE_RATIO``.

    Parameters
    ----------
    try_sigma : callable
        Returns the logarithm of the loss after a short training with a sigma.
    known : dict, optional
        Losses by the candidate's number, updated in place. Known candidates are not tried again.
    """
    losses = {} if known is None else known

    def loss(number: int) -> float:
        if abs(number) > PROBE_LIMIT:
            return math.inf
        if number not in losses:
            losses[number] = try_sigma(PROBE_RATIO**number)
        return losses[number]

    best = 0
    for direction in (1, -1):
        while loss(best + direction) < loss(best):
            best += direction
    # The vertex of the parabola through the best candidate and its neighbours.
    below, here, above = loss(best - 1), loss(best), loss(best + 1)
    bend = below - 2 * here + above
    if math.isfinite(bend) and bend > 0:
        best += (below - above) / (2 * bend)
    return PROBE_BIAS * PROBE_RATIO**best


def probe_loss(trainer: Trainer, budget: Budget, clock: Callable[[], float]) -> float:
    """Train a candidate briefly and return the logarithm of its loss.

    Parameters
    ----------
    trainer : Trainer
        At step 0.
    budget : Budget
        Of the whole training.
    clock : callable
    """
    started, losses = clock(), []
    limit = Budget(steps=PROBE_STEPS)
    while True:
        share = budget.spent(clock() - started, trainer.step) / PROBE_SHARE
        spent = max(share, limit.spent(0, trainer.step))
        if spent >= 1 and losses:
            break
        losses.append(trainer.advance(learning_rate(min(1.0, spent))))
    last = torch.stack(losses[-max(1, len(losses) // 5) :]).mean()
    return float(last.log().nan_to_num(nan=1e9, posinf=1e9))
