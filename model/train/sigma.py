"""Choice of sigma, the standard deviation of the frequencies, by short training runs."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from .schedule import Budget
from .trainer import Trainer

PROBE_SHARE = 0.02
PROBE_STEPS = 150
PROBE_BATCH = 2048
"""A candidate is trained for ``PROBE_SHARE`` of the budget, but for at most ``PROBE_STEPS`` steps,
in batches of ``PROBE_BATCH`` points."""

PROBE_RATIO = 2**0.5
"""Ratio between neighbouring candidates."""

PROBE_LIMIT = 6
"""Candidates lie within this many ratios of 1: from 1/8 to 8 turns per unit of coordinate."""


def probe_sigma(
    try_sigma: Callable[[float], float],
    losses: dict[int, float] | None = None,
    bias: float = 1.0,
) -> float:
    """Choose the sigma of the smallest loss, descending from 1 in steps of ``PROBE_RATIO``.

    Parameters
    ----------
    try_sigma : callable
        Returns the logarithm of the loss after a short training with a sigma.
    losses : dict, optional
        Losses by candidate number, updated in place. These candidates are not tried again.
    bias : float
        Ratio of the sigma that is returned to the best candidate.
    """
    losses = {} if losses is None else losses

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
    below, middle, above = loss(best - 1), loss(best), loss(best + 1)
    curvature = below - 2 * middle + above
    if math.isfinite(curvature) and curvature > 0:
        best += (below - above) / (2 * curvature)
    return bias * PROBE_RATIO**best


def probe_loss(trainer: Trainer, budget: Budget, clock: Callable[[], float]) -> float:
    """Train a candidate briefly and return the logarithm of its loss.

    Parameters
    ----------
    trainer : Trainer
        A trainer at step 0.
    budget : Budget
        The budget of the whole training run.
    clock : callable
    """
    started, losses = clock(), []
    limit = Budget(steps=PROBE_STEPS)
    while True:
        share = budget.spent(clock() - started, trainer.step) / PROBE_SHARE
        spent = max(share, limit.spent(0, trainer.step))
        if spent >= 1 and losses:
            break
        losses.append(trainer.advance(trainer.recipe.learning_rate(min(1.0, spent))))
    last = torch.stack(losses[-max(1, len(losses) // 5) :]).mean()
    return float(last.log().nan_to_num(nan=1e9, posinf=1e9))
