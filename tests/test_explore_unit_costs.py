from dataclasses import replace

import numpy as np
import pytest

from implicore.accelerator_config import AcceleratorConfig
from implicore.cycles import predict as predict_cycles
from implicore.errors import BadInput
from implicore.formats import Formats
from implicore.network_shape import NETWORKS
from implicore.random_program import random_program
from implicore.synth import asic, energy, target
from implicore.synth.blocks import BLOCKS
from implicore.synth.explore import unit_costs

FORMATS = Formats.parse("w8a12")
DEMO = NETWORKS["demo"]
CONFIG = AcceleratorConfig.sized(4, 6, FORMATS, [DEMO])


@pytest.fixture(scope="module")
def osu():
    return target.find("osu018")


def test_the_fit_finds_what_it_was_made_from():
    counts = np.array([[16, 4, 1], [80, 2, 1], [72, 12, 1], [128, 8, 1], [6, 6, 1]])
    costs = np.array([10469.0, 0.0, 530.0])
    assert unit_costs.fit(counts, counts @ costs) == pytest.approx(costs, abs=1e-6)


def test_the_fit_is_never_negative_and_weighs_relative_errors():
    counts = np.array([[1.0, 1.0], [1000.0, 1.0]])
    small, large = unit_costs.fit(counts, np.array([5.0, 1000.0]))
    assert small >= 0 and large >= 0
    assert small + large == pytest.approx(5, rel=0.01)
    (only,) = unit_costs.fit(np.array([[1.0], [1.0]]), np.array([100.0, 200.0]))
    assert only == pytest.approx(120)  # the error of the small one counts twice as much
    assert unit_costs.fit(np.array([[1.0]]), np.array([0.0])) == (0.0,)


def test_a_family_is_target_formats_and_gating(osu):
    name = unit_costs.family(CONFIG, osu)
    assert name == "osu018 w8a12"
    assert unit_costs.family(replace(CONFIG, rows=9, lanes=3, weight_depth=40000), osu) == name
    others = [replace(CONFIG, gate_zeros=True), replace(CONFIG, formats=Formats.parse("w8a8"))]
    assert len({name, *(unit_costs.family(other, osu) for other in others)}) == 3


def test_unit_costs_come_back_from_the_cache_exactly(osu, monkeypatch, tmp_path):
    monkeypatch.setenv("IMPLICORE_CACHE", str(tmp_path))
    fitted = {
        "period_ns": 4.0,
        "element_area_um2": 1 / 3,
        "element_period_ns": 0.1 + 0.2,
        "by_block": {"array": {"area_um2": (2**0.5, 5e-324)}, "control": {}},
        "beyond_access_ns": (0.7, 0.0),
        "logic_period_ns": 1e-300,
    }
    calls = []
    monkeypatch.setattr(unit_costs, "_characterize", lambda *inputs: calls.append(inputs) or fitted)
    program = random_program(DEMO, FORMATS, seed=1)
    found = [unit_costs.characterize(CONFIG, osu, program) for _ in range(2)]
    assert len(calls) == 1 and found[0] == found[1]
    for one in found:
        assert (one.target, one.network) == (osu, DEMO)
        assert repr({name: getattr(one, name) for name in fitted}) == repr(fitted)
    monkeypatch.setattr(unit_costs, "source_digest", lambda *names: "changed")
    assert unit_costs.characterize(CONFIG, osu, program) != found[0] and len(calls) == 2
    assert unit_costs.characterize(CONFIG, osu) not in found and len(calls) == 3


def test_memories_are_those_of_the_flow(osu):
    config = AcceleratorConfig.sized(2, 3, Formats.parse("w4a6t6"), [NETWORKS["fast"]])
    _, expected = asic.sources(config, osu, 4.0)
    found = {memory.module: memory for memory, _ in unit_costs.banks(config, osu, 4.0)}
    assert found == expected


def test_regressors_cover_every_block_and_share(osu):
    banks = unit_costs.banks(CONFIG, osu, 4.0)
    job = predict_cycles(DEMO, CONFIG, energy.SLICE)
    found = unit_costs.regressors(CONFIG, banks, job)
    assert set(found) == {*BLOCKS.values(), *(f"memory {memory.role}" for memory, _ in banks)}
    for shares in found.values():
        assert set(shares) == {unit_costs.AREA, *unit_costs.POWERS}


def test_samples_differ_from_one_another_and_hold_the_program():
    configs = list(unit_costs.sample_configs(FORMATS, True, DEMO))
    for field in ("rows", "columns", "lanes", "weight_depth"):
        assert len({getattr(config, field) for config in configs}) > 2
    for config in configs:
        assert config.gate_zeros and config.formats == FORMATS
        config.check_holds(DEMO)
    jobs = [predict_cycles(DEMO, config, energy.SLICE) for config in configs]
    assert min(job.steps / job.cycles for job in jobs) < 0.7  # an array that has to wait


def test_samples_of_known_unit_costs_give_them_back(osu):
    """Samples are made up from costs; what is fitted to them predicts another machine."""
    rng = np.random.default_rng(1)
    period = 4.0
    costs = {}

    def made_up(config):
        banks = unit_costs.banks(config, osu, period)
        job = predict_cycles(DEMO, config, energy.SLICE)
        shares = {}
        for block, parts in unit_costs.regressors(config, banks, job).items():
            for share, counts in parts.items():
                key = unit_costs.pool(block, share), share
                known = costs.setdefault(key, rng.uniform(1, 2, len(counts)))
                shares.setdefault(block, {})[share] = float(np.dot(known, counts))
        for memory, instances in banks:
            for share, value in unit_costs.macros_of(memory, instances).items():
                shares[f"memory {memory.role}"][share] += value
        return unit_costs.Sample(config, banks, shares)

    samples = [made_up(config) for config in unit_costs.sample_configs(FORMATS, False, DEMO)]
    fitted = unit_costs.fit_samples(samples, DEMO)
    other = made_up(AcceleratorConfig.sized(9, 20, FORMATS, [DEMO, NETWORKS["quality"]]))
    job = predict_cycles(DEMO, other.config, energy.SLICE)
    for block, parts in unit_costs.regressors(other.config, other.banks, job).items():
        for share, counts in parts.items():
            exact = 0.0
            for memory, instances in other.banks:
                if block == f"memory {memory.role}":
                    exact = unit_costs.macros_of(memory, instances).get(share, 0.0)
            found = float(np.dot(fitted[block][share], counts)) + exact
            assert found == pytest.approx(other.shares[block][share], rel=0.1), (block, share)


def test_a_program_of_other_formats_is_refused(osu):
    program = random_program(NETWORKS["fast"], Formats.parse("w8a8"), seed=1)
    with pytest.raises(BadInput, match=r"^The program's formats are w8a8, .* w8a12: "):
        unit_costs.characterize(CONFIG, osu, program)


def test_more_tiles_to_choose_between_take_longer():
    constant, doubling = unit_costs.beyond_access([(5.0, 0.3), (6.0, 0.5), (7.0, 0.7)])
    assert constant == pytest.approx(-0.7) and doubling == pytest.approx(0.2)
    assert unit_costs.beyond_access([(5.0, 0.4), (6.0, 0.2)]) == pytest.approx((0.3, 0.0))
    assert unit_costs.beyond_access([(3.0, 0.4)]) == pytest.approx((0.4, 0.0))
    assert unit_costs.beyond_access([]) == (0.0, 0.0)
