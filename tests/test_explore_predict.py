import os
import pickle
import sys
from collections import Counter
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
from implicore.synth.explore import predict, regressors, unit_costs

FORMATS = Formats.parse("w8a12")
DEMO = NETWORKS["demo"]


def sized(rows, columns, *networks):
    return AcceleratorConfig.sized(rows, columns, FORMATS, networks or [DEMO])


@pytest.fixture(scope="module")
def made_up():
    """Unit costs that are all 1; only memories and processing elements take time."""
    osu, config = target.find("osu018"), sized(4, 4)
    banks = regressors.banks(config, osu, 4.0)
    counts = regressors.regressors(config, banks, predict_cycles(DEMO, config, energy.SLICE))
    by_block = {
        block: {share: (1.0,) * len(numbers) for share, numbers in shares.items()}
        for block, shares in counts.items()
    }
    name = unit_costs.family(config, osu)
    return unit_costs.UnitCosts(
        name, "made up", osu, DEMO, 4.0, 100.0, 3.0, by_block, (0.5, 0.25), 2.0
    )


def test_metrics_are_sums_of_unit_costs_and_macros(made_up):
    config = sized(6, 10)
    found = predict.predict(config, DEMO, made_up)
    banks = regressors.banks(config, made_up.target, made_up.period_ns)
    job = predict_cycles(DEMO, config, energy.SLICE)
    assert found["blocks"]["array"]["area_um2"] == 6 * 10 + 6
    macros = sum(instances * memory.area_um2 for memory, instances in banks)
    memory_area = found["area_um2"] - found["logic_area_um2"]
    assert macros < memory_area < 1.05 * macros
    assert found["area_um2"] == pytest.approx(
        sum(block["area_um2"] for block in found["blocks"].values())
    )
    sram = sum(energy.sram_mw(memory, job, found["clock_mhz"]) for memory, _ in banks)
    assert sum(b["sram_mw"] for b in found["blocks"].values()) == pytest.approx(sram)
    assert found["cycles_per_slice"] == job.cycles and found["utilization"] == job.utilization
    assert found["power_mw"] == pytest.approx(
        sum(block["power_mw"] for block in found["blocks"].values())
    )


def test_clock_is_limited_by_the_slowest_macro_or_the_pe(made_up):
    slow = max(
        memory.macro.access_ns + 0.5 + 0.25 * np.log2(memory.deep)
        for memory, _ in regressors.banks(sized(4, 4), made_up.target, made_up.period_ns)
    )
    found = predict.predict(sized(4, 4), DEMO, made_up)
    assert found["fmax_mhz"] == pytest.approx(1000 / slow)
    limited = replace(made_up, pe_period_ns=20.0, key="slow elements")
    assert predict.predict(sized(4, 4), DEMO, limited)["fmax_mhz"] == pytest.approx(50)


def test_half_the_clock_halves_throughput_and_keeps_dynamic_energy(made_up):
    still = {
        block: {
            share: (0.0,) * len(ones) if share == "leakage_mw" else ones
            for share, ones in shares.items()
        }
        for block, shares in made_up.by_block.items()
    }
    still = replace(made_up, by_block=still, key="no leakage")
    one = predict.predict(sized(4, 4), DEMO, still, clock_mhz=200.0)
    half = predict.predict(sized(4, 4), DEMO, still, clock_mhz=100.0)
    assert half["voxels_per_second"] == pytest.approx(one["voxels_per_second"] / 2)
    assert half["nj_per_voxel"] == pytest.approx(one["nj_per_voxel"], rel=1e-3)
    assert half["pj_per_mac"] * DEMO.weights == pytest.approx(half["nj_per_voxel"] * 1000)


def test_without_a_program_there_is_no_energy(made_up):
    found = predict.predict(sized(4, 4), DEMO, replace(made_up, network=None, key="silent"))
    assert not {"power_mw", "nj_per_voxel", "pj_per_mac"} & set(found)
    assert set(found["blocks"]["array"]) == {"area_um2"}
    assert found["voxels_per_second"] > 0


def test_wrong_family_and_too_large_networks_are_rejected(made_up):
    sentence = (
        r"^Unit costs of osu018 w8a12 do not apply to a configuration of osu018 w8a12 gated\.$"
    )
    with pytest.raises(ValueError, match=sentence):
        predict.predict(replace(sized(4, 4), gate_zeros=True), DEMO, made_up)
    with pytest.raises(BadInput, match="does not fit the accelerator: frequencies is 128"):
        predict.predict(sized(4, 4), NETWORKS["quality"], made_up)


def with_packer(costs):
    """The unit costs with those of a voxel packer, all 1."""
    shares = {"area_um2": 2, "leakage_mw": 2, "data_mw": 1, "clock_mw": 3}
    packer = {share: (1.0,) * count for share, count in shares.items()}
    return replace(costs, by_block={**costs.by_block, "voxel packer": packer})


def test_metrics_of_patches_are_those_of_points_divided_by_the_outputs():
    osu, patch = target.find("osu018"), NETWORKS["patch"]
    config = AcceleratorConfig.sized(4, 4, FORMATS, [patch])
    banks, job = regressors.banks(config, osu, 4.0), energy.long_job(patch, config)
    by_block = {
        block: {share: (1.0,) * len(numbers) for share, numbers in shares.items()}
        for block, shares in regressors.regressors(config, banks, job).items()
    }
    name = unit_costs.family(config, osu)
    costs = unit_costs.UnitCosts(
        name, "patches", osu, patch, 4.0, 100.0, 3.0, by_block, (0.5, 0.25), 2.0
    )
    found = predict.predict(config, patch, costs)
    seconds = job.cycles / found["clock_mhz"] / 1e6
    assert found["voxels_per_second"] == pytest.approx(64 * 65536 / seconds)
    assert found["cycles_per_slice"] == job.cycles / 64
    assert found["nj_per_voxel"] == pytest.approx(found["power_mw"] * 1e6 * seconds / job.voxels)
    assert found["pj_per_mac"] * patch.macs_per_voxel == pytest.approx(1e3 * found["nj_per_voxel"])
    assert found["blocks"]["memory voxels"]["sram_mw"] > 0
    packed = predict.predict(replace(config, voxels_per_beat=4), patch, with_packer(costs))
    assert packed["area_um2"] > found["area_um2"] and packed["fmax_mhz"] == found["fmax_mhz"]
    wide = replace(sized(4, 4), voxels_per_beat=4)
    of_voxels = replace(costs, family=unit_costs.family(wide, osu), key="single voxels")
    with pytest.raises(BadInput, match="voxels_per_beat must be 1 with outputs 1, not 4"):
        predict.predict(wide, DEMO, of_voxels)


def test_unit_costs_can_be_pickled(made_up):
    again = pickle.loads(pickle.dumps(made_up))
    assert again == made_up and hash(again) == hash(made_up)
    assert predict.predict(sized(4, 4), DEMO, again) == predict.predict(sized(4, 4), DEMO, made_up)


def test_prediction_of_a_point_is_cheap(made_up):
    """Thousands of points are predicted: about 1 ms each, counted as calls of functions."""
    points = [
        replace(sized(rows, columns, DEMO, NETWORKS[network]), lanes=lanes)
        for network in ("demo", "fast", "quality")
        for rows in range(4, 64, 12)
        for columns in range(4, 64, 12)
        for lanes in (1, 2)
    ]
    calls = Counter()
    sys.setprofile(lambda frame, event, argument: calls.update([event]))
    try:
        for point in points:
            predict.predict(point, DEMO, made_up)
    finally:
        sys.setprofile(None)
    assert (calls["call"] + calls["c_call"]) / len(points) < 30_000


@pytest.mark.slow
@pytest.mark.skipif("PDK_ROOT" not in os.environ, reason="PDK_ROOT names no process kit")
def test_prediction_of_an_accelerator_outside_the_samples():
    ihp, formats = target.find("ihp-sg13g2"), Formats.parse("w4a6")
    program = random_program(NETWORKS["fast"], formats, seed=1)
    config = AcceleratorConfig.sized(9, 7, formats, [NETWORKS["demo"]])
    found = unit_costs.characterize(config, ihp, program)
    assert unit_costs.characterize(config, ihp, program) == found  # from the cache
    design = asic.map_accelerator(config, ihp)
    clock = design.fmax_mhz
    real = energy.summary(design, program, energy.simulate(design, program), clock)
    guess = predict.predict(config, program.shape, found, clock_mhz=clock)
    assert guess["area_um2"] == pytest.approx(design.area_um2, rel=0.05)
    assert guess["nj_per_voxel"] == pytest.approx(real["nj_per_voxel"], rel=0.15)
    assert guess["fmax_mhz"] == pytest.approx(clock, rel=0.1)
