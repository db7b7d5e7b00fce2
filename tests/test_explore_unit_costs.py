from dataclasses import replace

import pytest

from implicore.accelerator_config import AcceleratorConfig
from implicore.errors import BadInput
from implicore.formats import Formats
from implicore.network_shape import NETWORKS
from implicore.random_program import random_program
from implicore.synth import target
from implicore.synth.explore import unit_costs
from implicore.synth.explore.unit_costs import characterize, family

FORMATS = Formats.parse("w8a12")
DEMO = NETWORKS["demo"]
CONFIG = AcceleratorConfig.sized(4, 6, FORMATS, [DEMO])


@pytest.fixture(scope="module")
def osu():
    return target.find("osu018")


def test_a_family_is_target_formats_gating_patches_and_protection(osu):
    name = family(CONFIG, osu)
    assert name == "osu018 w8a12"
    assert family(replace(CONFIG, rows=9, lanes=3, weight_depth=40000), osu) == name
    others = [
        replace(CONFIG, gate_zeros=True),
        replace(CONFIG, formats=Formats.parse("w8a8")),
        replace(CONFIG, outputs=2),
        replace(CONFIG, protection="parity"),
        replace(CONFIG, protection="secded"),
    ]
    assert len({name, *(family(other, osu) for other in others)}) == 6
    assert family(others[2], osu) == "osu018 w8a12 patches"
    assert family(replace(CONFIG, outputs=64, voxels_per_beat=8), osu) == family(others[2], osu)


def test_cached_unit_costs_are_exact(osu, monkeypatch, tmp_path):
    monkeypatch.setenv("IMPLICORE_CACHE", str(tmp_path))
    fitted = {
        "period_ns": 4.0,
        "pe_area_um2": 1 / 3,
        "pe_period_ns": 0.1 + 0.2,
        "by_block": {"array": {"area_um2": (2**0.5, 5e-324)}, "control": {}},
        "after_access_ns": (0.7, 0.0),
        "logic_period_ns": 1e-300,
    }
    calls = []
    monkeypatch.setattr(unit_costs, "_characterize", lambda *inputs: calls.append(inputs) or fitted)
    program = random_program(DEMO, FORMATS, seed=1)
    found = [characterize(CONFIG, osu, program) for _ in range(2)]
    assert len(calls) == 1 and found[0] == found[1]
    for one in found:
        assert (one.target, one.network) == (osu, DEMO)
        assert repr({name: getattr(one, name) for name in fitted}) == repr(fitted)
    monkeypatch.setattr(unit_costs, "source_digest", lambda *names: "changed")
    assert characterize(CONFIG, osu, program) != found[0] and len(calls) == 2
    assert characterize(CONFIG, osu) not in found and len(calls) == 3


def test_a_program_of_other_formats_is_rejected(osu):
    program = random_program(NETWORKS["fast"], Formats.parse("w8a8"), seed=1)
    sentence = (
        r"^The program's formats are w8a8 and the accelerator's w8a12: compile the model with"
    )
    with pytest.raises(BadInput, match=sentence):
        characterize(CONFIG, osu, program)
