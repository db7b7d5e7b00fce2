from dataclasses import replace

import numpy as np
import pytest

from implicore.model.train.recipe import PATCHES, POINTS, Recipe
from implicore.network_shape import NetworkShape


def test_a_network_has_the_recipe_of_its_outputs():
    shape = NetworkShape(frequencies=4, width=8, depth=3)
    assert Recipe.of(shape) is POINTS
    assert Recipe.of(replace(shape, outputs=2)) is PATCHES


@pytest.mark.parametrize("recipe", [POINTS, PATCHES])
def test_learning_rate_warms_up_and_falls_to_zero(recipe):
    rates = [recipe.learning_rate(spent) for spent in np.linspace(0, 1, 1001)]
    assert 0 < rates[0] < 0.02
    assert 0.97 < max(rates) <= 1
    peak = rates.index(max(rates))
    assert peak <= 20
    assert all(a >= b for a, b in zip(rates[peak:], rates[peak + 1 :], strict=False))
    assert rates[-1] < 1e-3
