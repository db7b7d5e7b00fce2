import numpy as np

from implicore.model.train.schedule import learning_rate


def test_learning_rate_warms_up_and_falls_to_zero():
    rates = [learning_rate(spent) for spent in np.linspace(0, 1, 1001)]
    assert 0 < rates[0] < 0.02
    assert max(rates) > 0.99
    peak = rates.index(max(rates))
    assert peak <= 20
    assert all(a >= b for a, b in zip(rates[peak:], rates[peak + 1 :], strict=False))
    assert rates[-1] < 1e-3
