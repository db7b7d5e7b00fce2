import pytest

from implicore.accelerator_config import AcceleratorConfig
from implicore.cycles import predict as predict_cycles
from implicore.formats import Formats
from implicore.network_shape import NETWORKS
from implicore.synth import asic, energy, target
from implicore.synth.blocks import BLOCKS
from implicore.synth.explore.regressors import AREA, POWERS, banks, regressors

DEMO = NETWORKS["demo"]
CONFIG = AcceleratorConfig.sized(4, 6, Formats.parse("w8a12"), [DEMO])


@pytest.fixture(scope="module")
def osu():
    return target.find("osu018")


def regressors_of(config, osu):
    job = predict_cycles(DEMO, config, energy.SLICE)
    return regressors(config, banks(config, osu, 4.0), job)


def test_memories_are_those_of_the_flow(osu):
    config = AcceleratorConfig.sized(2, 3, Formats.parse("w4a6t6"), [NETWORKS["fast"]])
    _, expected = asic.sources(config, osu, 4.0)
    found = {memory.module: memory for memory, _ in banks(config, osu, 4.0)}
    assert found == expected


def test_every_block_and_share_has_regressors(osu):
    found = regressors_of(CONFIG, osu)
    memories = {f"memory {memory.role}" for memory, _ in banks(CONFIG, osu, 4.0)}
    assert set(found) == {*BLOCKS.values(), *memories}
    for shares in found.values():
        assert set(shares) == {AREA, *POWERS}


def test_without_a_job_there_is_no_dynamic_power(osu):
    found = regressors(CONFIG, banks(CONFIG, osu, 4.0), None)
    assert {tuple(shares) for shares in found.values()} >= {(AREA, "leakage_mw")}
    assert all("data_mw" not in shares for shares in found.values())
