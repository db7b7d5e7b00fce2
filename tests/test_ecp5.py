"""What Yosys infers for an ECP5: block RAM for the large memories, one DSP for each PE."""

import json

import pytest

from implicore.hw.verilog import PREFIX, generate
from implicore.machine import ACCELERATORS

pyosys = pytest.importorskip("pyosys.libyosys")

PRESET = "tiny"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ecp5")
    generate(ACCELERATORS[PRESET], folder)
    return folder


def cells(folder, module: str) -> dict[str, int]:
    """Cells by type of one module, everything below it included."""
    design = pyosys.Design()
    result = folder / f"{module}.json"
    for command in (
        f"read_verilog {folder}/{PREFIX}.v {folder}/{PREFIX}_memories.v",
        f"synth_ecp5 -top {module} -noabc9",
        f"tee -q -o {result} stat -json",
    ):
        pyosys.run_pass(command, design)
    return json.loads(result.read_text())["design"]["num_cells_by_type"]


def test_a_processing_element_is_one_dsp(folder):
    assert cells(folder, f"{PREFIX}_processing_element")["MULT18X18D"] == 1


def test_large_memories_are_block_ram(folder):
    sidecar = json.loads((folder / f"{PREFIX}.json").read_text())
    for memory in sidecar["memories"]:
        bits = memory["depth"] * memory["width"]
        found = cells(folder, memory["module"])
        if bits >= 2048:
            assert found.get("DP16KD", 0) >= 1, memory["role"]
            # Nothing but the blocks, and what chooses between them in a deep memory.
            assert found.get("TRELLIS_DPR16X4", 0) == 0, memory["role"]
            assert found["DP16KD"] <= -(-bits // 9216) + 1, memory["role"]


@pytest.mark.slow
def test_the_whole_machine(folder):
    config = ACCELERATORS[PRESET]
    found = cells(folder, PREFIX)
    # A DSP each for PEs and tails, two for a lane, whose products are taken in halves.
    assert found["MULT18X18D"] == config.rows * (config.columns + 1) + 2 * config.lanes
