import numpy as np
import pytest
import synth_library as small

from implicore.synth.activity import replay
from implicore.synth.circuit import Circuit
from implicore.synth.power import Power, total

netlist = small.netlist


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return small.library(tmp_path_factory.mktemp("library"))


def test_energy_adds_up_over_bit_lanes_and_scales_with_activity(library):
    pins = {"A": 3, "Y": 4}
    top = netlist({"clk": 2, "a": 3}, {"y": 4}, gate=("INV", pins))
    rng = np.random.default_rng(0)
    a = rng.integers(0, 2, (200, 70))

    def energy(values):
        circuit = Circuit("top", {"top": top}, library.cells, bit_lanes=values.shape[1])
        _, activity = replay(circuit, {"a": values}, first=1)
        return total(Power(circuit, library).parts(activity))

    whole = energy(a)
    halves = [energy(a[:, :35]), energy(a[:, 35:])]
    assert whole["pj"] == pytest.approx(sum(half["pj"] for half in halves))
    assert whole["leakage_mw"] == pytest.approx(70 * 3e-3)
    held = energy(np.repeat(a, 2, axis=0)[1:])  # both windows open behind a[0]
    assert held["pj"] * (2 * 200 - 2) == pytest.approx(whole["pj"] * (200 - 1))
    assert energy(np.zeros((10, 70), int))["pj"] == 0
