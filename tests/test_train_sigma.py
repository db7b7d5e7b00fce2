import numpy as np
import pytest

from implicore.grid import Grid
from implicore.model.samples import Samples
from implicore.model.train import sigma
from implicore.model.train.schedule import Budget
from implicore.model.train.trainer import Trainer
from implicore.model.volume import Volume
from implicore.network_shape import NetworkShape


@pytest.mark.parametrize("best", [0.3, 0.8, 1.0, 1.9, 4.4])
def test_the_probe_finds_the_best_sigma(best):
    tried = []

    def loss(candidate):
        tried.append(candidate)
        return np.log(candidate / best) ** 2

    assert sigma.probe_sigma(loss) == pytest.approx(best)
    assert len(tried) == len(set(tried)) <= 9
    assert sigma.probe_sigma(loss, bias=1.5) == pytest.approx(1.5 * best)


def test_the_probe_stays_within_its_limits():
    highest = sigma.PROBE_RATIO**sigma.PROBE_LIMIT
    assert sigma.probe_sigma(lambda candidate: -candidate) == pytest.approx(highest)
    assert sigma.probe_sigma(lambda candidate: 0.0) == pytest.approx(1.0)


def test_a_candidate_gets_a_small_part_of_the_budget():
    shape = NetworkShape(frequencies=16, width=16, depth=4, skips=(3,))
    data = np.random.default_rng(0).integers(0, 255, (8, 8, 8), dtype=np.uint8)
    volume = Volume(data, Grid.from_array(data.shape, np.eye(4)), "noise")

    def probed_steps(budget, clock=lambda: 0.0):
        samples = Samples([volume])
        trainer = Trainer(samples, shape, 1.0, 0, False)
        sigma.probe_loss(trainer, budget, clock)
        return trainer.step

    assert probed_steps(Budget(steps=1000)) == 20
    assert probed_steps(Budget(steps=10)) == 1
    assert probed_steps(Budget(steps=10**6)) == sigma.PROBE_STEPS
    ticks = iter(range(1000))
    assert probed_steps(Budget(seconds=1000.0), lambda: float(next(ticks))) == 19
