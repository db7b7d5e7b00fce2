import re
from dataclasses import replace

import numpy as np
import pytest
from amaranth.back import rtlil

from implicore.accelerator_config import AcceleratorConfig
from implicore.cycles import predict as predict_cycles
from implicore.formats import Formats
from implicore.hw.loader import ProgramLoader
from implicore.hw.row import ColumnUnit
from implicore.network_shape import NETWORKS
from implicore.synth import asic, energy, target
from implicore.synth.blocks import BLOCKS
from implicore.synth.explore.fitting import fit
from implicore.synth.explore.regressors import AREA, POWERS, banks, regressors

DEMO = NETWORKS["demo"]
CONFIG = AcceleratorConfig.sized(4, 6, Formats.parse("w8a12"), [DEMO])


@pytest.fixture(scope="module")
def osu():
    return target.find("osu018")


def regressors_of(config, osu):
    job = predict_cycles(DEMO, config, energy.SLICE)
    return regressors(config, banks(config, osu, 4.0), job)


def test_memories_equal_those_of_the_flow(osu):
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
