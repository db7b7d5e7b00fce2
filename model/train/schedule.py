"""The budget of a training run."""

from __future__ import annotations

import math
from dataclasses import dataclass

from implicore.errors import BadInput


@dataclass(frozen=True)
class Budget:
    """The duration of a training run: ``seconds`` on its clock, or ``steps``.

    Raises
    ------
    BadInput
        If both or neither are given, or the value is not positive.
    """

    seconds: float | None = None
    steps: int | None = None

    def __post_init__(self):
        if (self.seconds is None) == (self.steps is None):
            raise BadInput("Give either the seconds or the steps to train, and not both.")
        if self.steps is None:
            if not (math.isfinite(self.seconds) and self.seconds > 0):
                raise BadInput(f"The seconds must be a positive number, not {self.seconds}.")
        elif isinstance(self.steps, bool) or not isinstance(self.steps, int) or self.steps < 1:
            raise BadInput(f"The steps must be a positive whole number, not {self.steps}.")

    def spent(self, seconds: float, steps: int) -> float:
        """Return the share of the budget that is spent, from 0 to 1."""
        spent = steps / self.steps if self.seconds is None else seconds / self.seconds
        return min(1.0, spent)
