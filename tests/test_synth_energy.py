import json
from dataclasses import replace

import numpy as np
import pytest
import synth_library as small

from implicore.cycles import predict
from implicore.errors import BadInput
from implicore.job import GridJob
from implicore.random_program import random_program
from implicore.synth import energy

CONFIG, NETWORK = small.SMALL, small.NETWORK


@pytest.fixture(scope="module", params=["osu018", "ihp-sg13g2"])
def design(request):
    return small.mapped(CONFIG, small.cells(request.param))


@pytest.fixture(scope="module")
def program():
    """A random program: its activity does not matter here."""
    return random_program(NETWORK, CONFIG.formats, seed=1)


def test_energy_metrics_of_a_decode(design, program, tmp_path):
    figures = energy.measure(design, program, 100.0, tmp_path)
    slice_ = predict(NETWORK, CONFIG, 256 * 256)
    seconds = slice_.cycles / 100e6
    blocks = figures["power_blocks"]
    assert set(blocks) == set(design.block_areas)
    for block in blocks.values():
        assert block["power_mw"] == pytest.approx(sum(block[share] for share in energy.SHARES))
    assert figures["power_mw"] == pytest.approx(sum(one["power_mw"] for one in blocks.values()))
    joule = figures["power_mw"] * 1e-3 * seconds
    assert figures["mj_per_slice"] == pytest.approx(joule * 1e3)
    assert figures["nj_per_voxel"] * NETWORK.weights**-1 * 1e3 == pytest.approx(
        figures["pj_per_mac"]
    )
    assert figures["voxels_per_second"] == pytest.approx(256 * 256 / seconds)
    assert figures["voxels_per_joule"] == pytest.approx(256 * 256 / joule)
    assert figures["annotated"] >= 0.95
    for role, memory in ((memory.role, memory) for memory in design.memories.values()):
        count = slice_.memories[role]
        pj = count.reads * memory.energy_pj(write=False)
        pj += count.writes * memory.energy_pj(write=True)
        assert blocks[f"memory {role}"]["sram_mw"] == pytest.approx(pj * 1e-9 / seconds)
    bare = figures["bare"]
    assert 0 < bare["clock_pj"] < bare["pj"] < figures["pe_pj"] < figures["pj_per_mac"]
    assert 1 < bare["pe_energy"] < bare["accelerator_energy"]
    assert 1 < bare["pe_area"] < bare["logic_area"]
    content = json.loads((tmp_path / "energy.json").read_text())
    assert content["power_mw"] == pytest.approx(figures["power_mw"])
    assert "core.array.row.pe" in {part["path"] for part in content["instances"]}


def test_power_scales_with_the_clock_except_leakage(design, program):
    found = energy.simulate(design, program)
    slow, fast = (energy.summary(design, program, found, clock) for clock in (1.0, 100.0))
    leakage = sum(part.leakage_mw for part in found.parts)
    assert fast["power_mw"] - leakage == pytest.approx(100 * (slow["power_mw"] - leakage))
    assert fast["voxels_per_second"] == pytest.approx(100 * slow["voxels_per_second"])


def test_short_window_agrees_with_a_longer_one(design, program):
    """Compare two voxel tiles with thirty."""
    short, long = (
        energy.summary(design, program, energy.simulate(design, program, tiles=tiles), 100.0)
        for tiles in (energy.WINDOW_TILES, 30)
    )
    assert short["power_mw"] == pytest.approx(long["power_mw"], rel=0.1)
    assert short["power_mw"] != long["power_mw"]


def test_program_that_does_not_fit_is_rejected(design):
    other = random_program(replace(NETWORK, width=8), CONFIG.formats)
    with pytest.raises(BadInput, match="does not fit"):
        energy.measure(design, other, 100.0)


def test_line_crosses_the_image(program):
    job = energy.line(program, 9)
    whole = energy.GridJob.of(program.grid.middle_plane(), program.frame)
    assert job.voxels == 9
    points = job.coordinates(0, 9)
    ends = whole.at([[0, whole.shape[1] // 2, 0], [whole.shape[0] - 1, whole.shape[1] // 2, 0]])
    assert abs(points[[0, -1]] - ends).max() <= 1


def test_patches_lie_on_the_lattice():
    """Whole lines of patches: the middle ones of the middle plane, or its middle one repeatedly."""
    program = random_program(small.PATCH_NETWORK, CONFIG.formats, patch=(3, 1, 2))
    lattice = GridJob.of(program.lattice.grid, program.frame)
    width, height, depth = lattice.shape
    assert height == 6
    for lines, across in ((1, [2]), (2, [2, 3]), (7, [3] * 7)):
        job = energy.line(program, lines * width - 1)
        assert job.shape == (width, lines, 1)
        index = [[i, j, depth // 2] for j in across[:lines] for i in range(width)]
        assert (job.coordinates(0, job.voxels) == lattice.at(np.array(index))).all()


def test_energy_per_voxel_is_that_of_a_point_divided_by_its_outputs():
    assert energy.long_job(NETWORK, CONFIG) == predict(NETWORK, CONFIG, 256 * 256)
    job = energy.long_job(small.PATCH_NETWORK, small.PATCH)
    assert job.voxels == 256 * 256 * 6
    found = energy.costs({"array": {"data_mw": 2.0}}, job, 100.0)
    assert found["nj_per_voxel"] == pytest.approx(2e6 * job.cycles / 100e6 / job.voxels)
    assert found["mj_per_slice"] == pytest.approx(found["nj_per_voxel"] * 65536e-6)
    assert found["voxels_per_joule"] * found["nj_per_voxel"] == pytest.approx(1e9)
    assert found["pj_per_mac"] == pytest.approx(
        found["nj_per_voxel"] * 1000 / small.PATCH_NETWORK.macs_per_voxel
    )
