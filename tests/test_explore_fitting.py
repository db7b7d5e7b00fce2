from dataclasses import replace

import numpy as np
import pytest

from implicore.accelerator_config import AcceleratorConfig
from implicore.formats import Formats
from implicore.network_shape import NETWORKS
from implicore.synth import energy, target
from implicore.synth.explore.fitting import fit, fit_after_access, fit_samples, pool
from implicore.synth.explore.regressors import banks, macros_of, regressors
from implicore.synth.explore.samples import Sample, sample_configs

FORMATS = Formats.parse("w8a12")


def test_the_fit_recovers_known_unit_costs():
    counts = np.array([[16, 4, 1], [80, 2, 1], [72, 12, 1], [128, 8, 1], [6, 6, 1]])
    costs = np.array([10469.0, 0.0, 530.0])
    assert fit(counts, counts @ costs) == pytest.approx(costs, abs=1e-6)


def test_the_fit_is_never_negative_and_weighs_relative_errors():
    counts = np.array([[1.0, 1.0], [1000.0, 1.0]])
    small, large = fit(counts, np.array([5.0, 1000.0]))
    assert small >= 0 and large >= 0
    assert small + large == pytest.approx(5, rel=0.01)
    (only,) = fit(np.array([[1.0], [1.0]]), np.array([100.0, 200.0]))
    assert only == pytest.approx(120)  # the error of the small one counts twice as much
    assert fit(np.array([[1.0]]), np.array([0.0])) == (0.0,)


@pytest.mark.parametrize("network", ["demo", "patch"])
def test_samples_with_known_unit_costs_predict_another_accelerator(network):
    """The shares of the samples and of the other accelerator come from the same unit costs."""
    network = NETWORKS[network]
    osu = target.find("osu018")
    rng = np.random.default_rng(1)
    costs = {}

    def made_up(config):
        memories = banks(config, osu, 4.0)
        job = energy.long_job(network, config)
        shares = {}
        for block, parts in regressors(config, memories, job).items():
            for share, counts in parts.items():
                key = pool(block, share), share
                known = costs.setdefault(key, rng.uniform(1, 2, len(counts)))
                shares.setdefault(block, {})[share] = float(np.dot(known, counts))
        for memory, instances in memories:
            for share, value in macros_of(memory, instances).items():
                shares[f"memory {memory.role}"][share] += value
        return Sample(config, memories, shares)

    patches = network.outputs > 1
    configs = sample_configs(FORMATS, False, network, patches=patches)
    fitted = fit_samples([made_up(config) for config in configs], network)
    config = AcceleratorConfig.sized(9, 20, FORMATS, [network, NETWORKS["quality"]])
    other = made_up(replace(config, voxels_per_beat=2 if patches else 1))
    job = energy.long_job(network, other.config)
    for block, parts in regressors(other.config, other.banks, job).items():
        for share, counts in parts.items():
            exact = 0.0
            for memory, instances in other.banks:
                if block == f"memory {memory.role}":
                    exact = macros_of(memory, instances).get(share, 0.0)
            found = float(np.dot(fitted[block][share], counts)) + exact
            assert found == pytest.approx(other.shares[block][share], rel=0.1), (block, share)


def test_selecting_among_more_tiles_takes_longer():
    constant, per_doubling = fit_after_access([(5.0, 0.3), (6.0, 0.5), (7.0, 0.7)])
    assert constant == pytest.approx(-0.7) and per_doubling == pytest.approx(0.2)
    assert fit_after_access([(5.0, 0.4), (6.0, 0.2)]) == pytest.approx((0.3, 0.0))
    assert fit_after_access([(3.0, 0.4)]) == pytest.approx((0.4, 0.0))
    assert fit_after_access([]) == (0.0, 0.0)
