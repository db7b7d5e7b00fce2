import re
from dataclasses import replace

import numpy as np
import pytest
from amaranth.back import rtlil

from implicore.accelerator_config import AcceleratorConfig
from implicore.formats import Formats
from implicore.hw.loader import ProgramLoader
from implicore.hw.row import ColumnUnit
from implicore.hw.voxel_bank import VoxelBank
from implicore.network_shape import NETWORKS
from implicore.synth import asic, energy, target
from implicore.synth.blocks import BLOCKS
from implicore.synth.explore.fitting import fit
from implicore.synth.explore.regressors import AREA, POWERS, banks, regressors

DEMO = NETWORKS["demo"]
CONFIG = AcceleratorConfig.sized(4, 6, Formats.parse("w8a12"), [DEMO])
PATCHES = AcceleratorConfig.sized(4, 6, Formats.parse("w8a12"), [NETWORKS["patch"]])


@pytest.fixture(scope="module")
def osu():
    return target.find("osu018")


def regressors_of(config, osu):
    job = energy.long_job(DEMO if config.outputs == 1 else NETWORKS["patch"], config)
    return regressors(config, banks(config, osu, 4.0), job)


def test_memories_equal_those_of_the_flow(osu):
    config = AcceleratorConfig.sized(2, 3, Formats.parse("w4a6t6"), [NETWORKS["fast"]])
    _, expected = asic.sources(config, osu, 4.0)
    found = {memory.module: memory for memory, _ in banks(config, osu, 4.0)}
    assert found == expected


def test_banks_that_are_read_while_written_have_two_ports(osu):
    two = {memory.role for memory, _ in banks(PATCHES, osu, 4.0) if memory.ports == 2}
    assert two == {"features", "hidden", "voxels"}


PATCH_BLOCKS = {"voxel banks", "voxel reader", "voxel packer"}


@pytest.mark.parametrize(
    ("config", "missing"),
    [
        (CONFIG, PATCH_BLOCKS),
        (PATCHES, {"voxel buffer", "voxel packer"}),
        (replace(PATCHES, voxels_per_beat=4), {"voxel buffer"}),
    ],
)
def test_every_block_and_share_has_regressors(osu, config, missing):
    found = regressors_of(config, osu)
    memories = {f"memory {memory.role}" for memory, _ in banks(config, osu, 4.0)}
    assert set(found) == {*BLOCKS.values(), *memories} - missing
    assert ("memory voxels" in memories) == (config.outputs > 1)
    for shares in found.values():
        assert set(shares) == {AREA, *POWERS}


def test_without_a_job_there_is_no_dynamic_power(osu):
    found = regressors(CONFIG, banks(CONFIG, osu, 4.0), None)
    assert {tuple(shares) for shares in found.values()} >= {(AREA, "leakage_mw")}
    assert all("data_mw" not in shares for shares in found.values())


def register_bits(component):
    """Return the number of flip-flops of a component, without its submodules."""
    text = rtlil.convert(component, name="top", emit_src=False)
    top = text[text.index("module \\top\n") :]
    cells = re.findall(r"cell \$dff \S+\n(.*?)\n  end", top, re.DOTALL)
    return sum(int(re.search(r"parameter \\WIDTH (\d+)", cell)[1]) for cell in cells)


@pytest.mark.parametrize("block", ["column units", "program loader"])
def test_register_bits_are_a_sum_of_the_regressors_for_any_weight_word(block):
    """A fit to some widths of the weight word is exact for others."""

    def counts_and_bits(columns, word_bits):
        config = replace(CONFIG, columns=columns, weight_word_bits=word_bits)
        counts = regressors(config, [], None)[block][AREA]
        if block == "program loader":
            return counts, register_bits(ProgramLoader(config))
        unit = ColumnUnit(config.weight_depth, config.columns_per_bank, config.formats)
        return counts, config.weight_banks * register_bits(unit)

    sizes = (6, 64), (6, 8), (8, 32), (12, 64)
    counts, bits = zip(*(counts_and_bits(*size) for size in sizes), strict=True)
    costs = fit(np.array(counts, float), np.array(bits, float))
    for size in ((8, 16), (16, 128), (12, 24)):
        counts, bits = counts_and_bits(*size)
        assert np.dot(costs, counts) == pytest.approx(bits, rel=1e-9)


def test_register_bits_of_voxel_banks_are_a_sum_of_the_regressors():
    def counts_and_bits(rows, voxels_per_beat):
        config = replace(PATCHES, rows=rows, voxels_per_beat=voxels_per_beat)
        bank = VoxelBank(config.outputs, voxels_per_beat, config.formats.output_bits)
        return regressors(config, [], None)["voxel banks"][AREA], rows * register_bits(bank)

    sizes = (4, 1), (2, 8), (6, 2), (3, 4)
    counts, bits = zip(*(counts_and_bits(*size) for size in sizes), strict=True)
    costs = fit(np.array(counts, float), np.array(bits, float))
    counts, bits = counts_and_bits(9, 2)
    assert np.dot(costs, counts) == pytest.approx(bits, rel=1e-9)
