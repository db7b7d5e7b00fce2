"""The long random run of one accelerator, shortened, and a run that must find an error."""

import importlib.util
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parent.parent / "bench"


@pytest.fixture(scope="module")
def soak():
    """The module of bench/soak.py."""
    sys.path.insert(0, str(BENCH))
    spec = importlib.util.spec_from_file_location("soak", BENCH / "soak.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.path.remove(str(BENCH))
    return module


@pytest.mark.parametrize("name", ["point", "patch"])
def test_random_steps_agree(soak, name):
    result = soak.soak(name, 100_000, seed=2)
    assert result["mismatches"] == 0
    assert result["cycles"] > 100_000 and result["voxels"] > 1000
    assert min(result[step] for step in ("points", "grid", "abort", "reset", "damage", "part")) > 0
    assert result["simulator_mib"][1] - result["simulator_mib"][0] <= soak.FLAT_MIB


def test_a_wrong_voxel_is_found(soak, monkeypatch, capsys):
    golden = soak.Script.points

    def wrong(script, coordinates):
        golden(script, coordinates)
        expected = next(e for e in reversed(script.expected) if hasattr(e, "voxels"))
        expected.voxels[-1] ^= 1

    monkeypatch.setattr(soak.Script, "points", wrong)
    monkeypatch.setattr(sys, "argv", ["soak.py", "--cycles", "100000"])
    assert soak.main() == 1
    assert "1 of" in capsys.readouterr().out
