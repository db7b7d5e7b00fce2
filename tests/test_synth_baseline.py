import numpy as np
import pytest
import synth_library as small

from implicore.formats import Formats
from implicore.synth import baseline
from implicore.synth.activity import replay
from implicore.synth.circuit import Circuit
from implicore.synth.liberty import read_liberty
from implicore.synth.netlist import Netlist

FORMATS = Formats.parse("w6a7")


@pytest.fixture(scope="module", params=["osu018", "ihp-sg13g2"])
def cells(request):
    return small.cells(request.param)


def test_bare_unit_multiplies_and_accumulates(cells):
    unit = baseline.map_bare(FORMATS, cells, 4.0)
    netlist = Netlist.read(unit.folder / "netlist.json", baseline.NAME)
    circuit = Circuit(
        baseline.NAME, {baseline.NAME: netlist}, read_liberty(cells.liberty).cells, bit_lanes=5
    )
    rng = np.random.default_rng(0)
    weight = rng.integers(-32, 32, (200, 5))
    activation = rng.integers(0, 128, (200, 5))
    done = rng.integers(0, 9, (200, 5)) == 0
    done[0] = True
    outputs, _ = replay(circuit, {"weight": weight & 63, "activation": activation, "done": done})
    total = np.zeros(5, int)
    product = np.zeros(5, int)
    bits = FORMATS.accumulator_bits
    for cycle in range(200):
        if cycle:  # the first cycle clears the state at power-up
            assert (outputs["sum"][cycle] == total & (1 << bits) - 1).all()
        total = np.where(done[cycle], 0, total) + product
        product = weight[cycle] * activation[cycle]


def test_mapping_prefers_meeting_the_clock_then_area(cells):
    slow, fast = (baseline.map_bare(FORMATS, cells, period) for period in (100.0, 0.1))
    assert slow.area_um2 <= fast.area_um2 and slow.period_ns >= fast.period_ns
    between = baseline.map_bare(FORMATS, cells, slow.period_ns)
    assert between == slow


def test_energy_depends_on_the_operands(cells):
    """With zero operands, the bare unit uses energy for clock and leakage only."""
    design = small.mapped(small.SMALL, cells)
    rng = np.random.default_rng(1)
    shape = (300, 3)
    operands = {
        "weight_in": rng.integers(0, 64, shape),
        "activation_in": rng.integers(0, 64, shape),
        "done": rng.integers(0, 9, shape) == 0,
    }
    result = {"pj_per_mac": 12.0, "pe_pj": 6.0}

    def compare(**changed):
        return baseline.compare(design, {**operands, **changed}, result, 100.0)

    busy = compare()
    sparse = compare(activation_in=operands["activation_in"] * (rng.random(shape) < 0.5))
    nothing = {"weight_in": np.zeros(shape), "done": np.zeros(shape)}
    idle = compare(activation_in=np.zeros(shape), **nothing)
    assert idle["pj"] < sparse["pj"] < busy["pj"]
    assert idle["pj"] == pytest.approx(idle["clock_pj"], rel=0.01)
    assert (idle["zero_activations"], busy["zero_activations"] < 0.1) == (1.0, True)
    assert busy["accelerator_energy"] == pytest.approx(12.0 / busy["pj"])
    assert busy["pe_energy"] == pytest.approx(6.0 / busy["pj"])
