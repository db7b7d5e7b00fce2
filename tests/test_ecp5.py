"""What Yosys infers for an ECP5: block RAM for large memories, one DSP block per PE."""

import json

import pytest

from implicore.accelerator_config import ACCELERATORS
from implicore.hw.verilog import PREFIX
from implicore.sim.simulators import verilog

pytest.importorskip("pyosys", reason="pyosys is not installed: pip install 'implicore[fpga]'")

from implicore.synth.ecp5 import synthesize  # noqa: E402 - it needs the package above

CONFIG = ACCELERATORS["tiny"]


def cells(module: str) -> dict[str, int]:
    """Return the cells by type of one module and everything below it."""
    return synthesize(verilog(CONFIG), module).cells


def test_processing_element_is_one_dsp():
    assert cells(f"{PREFIX}_processing_element")["MULT18X18D"] == 1


def test_large_memories_are_block_ram():
    sidecar = json.loads(verilog(CONFIG)[0].with_name(f"{PREFIX}.json").read_text())
    checked = 0
    for memory in sidecar["memories"]:
        bits = memory["depth"] * memory["width"]
        found = cells(memory["module"])
        if bits >= 2048:
            checked += 1
            assert found.get("DP16KD", 0) >= 1, memory["role"]
            # Only the blocks, and multiplexers between them in a deep memory.
            assert found.get("TRELLIS_DPR16X4", 0) == 0, memory["role"]
            assert found["DP16KD"] <= -(-bits // 9216) + 1, memory["role"]
    assert checked >= 4


@pytest.mark.slow
def test_whole_accelerator_fits_the_ecp5():
    # A DSP each for PEs and output-layer MACs, two for a lane, whose products are taken in halves.
    expected = CONFIG.rows * (CONFIG.columns + 1) + 2 * CONFIG.lanes
    assert cells(PREFIX)["MULT18X18D"] == expected
