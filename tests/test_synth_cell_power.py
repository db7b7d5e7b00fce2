import numpy as np
import pytest
import synth_library as small

from implicore.synth.activity import replay
from implicore.synth.circuit import Circuit
from implicore.synth.liberty import read_liberty
from implicore.synth.power import Power

netlist = small.netlist


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return small.library(tmp_path_factory.mktemp("library"))


def single(kind, inputs, outputs, pins, library, levels):
    """Parts of one cell driven with these levels, a list for each input."""
    top = netlist({"clk": 2, **inputs}, outputs, cell=(kind, pins))
    circuit = Circuit("top", {"top": top}, library.cells)
    given = {name: np.array(values)[:, None] for name, values in levels.items()}
    _, activity = replay(circuit, given)
    (part,) = Power(circuit, library).parts(activity)
    return part


def test_gate_energy_equals_hand_calculation(library):
    # A rises in cycle 1, falls in 2 and rises in 3; B is high in cycles 2 and 3.
    levels = {"a": [0, 1, 0, 1], "b": [0, 0, 1, 1]}
    part = single("XOR2", {"a": 3, "b": 4}, {"y": 5}, {"A": 3, "B": 4, "Y": 5}, library, levels)
    charge = 0.02 * 2.0**2 / 2
    assert part.switching == pytest.approx((3 + 1) * charge / 4)
    # Y: 0 1 1 0, two changes. A changed three times and B once, B is high half of the time.
    by_a, by_b = (3 + 6) / 2, 10
    assert part.internal == pytest.approx(2 * (3 * by_a + by_b) / 4 / 4)
    assert part.clock == part.access == 0
    # A and B are both high in 1/4 by their own shares, A is low in 1/2, and 2 uW else.
    assert part.leakage_mw == pytest.approx((10 / 4 + 4 / 2 + 2 / 4) * 1e-3)


def test_flip_flop_energy_equals_hand_calculation(library):
    levels = {"d": [0, 1, 1, 0, 1, 0]}
    pins = {"D": 3, "CK": 2, "R": "1", "Q": 4}
    part = single("DFF", {"d": 3}, {"q": 4}, pins, library, levels)
    # Before the six edges (D, Q): 00 10 11 01 10 01.
    rises = [8, 0, 1, 8, 0, 8]
    falls = [10, 6, 3, 10, 6, 10]
    assert part.clock == pytest.approx((sum(rises) + sum(falls)) / 6 + 0.05 * 2.0**2)
    # D changes 4 times, clock high or low; Q at 4 of the edges.
    hidden = 4 * (0.5 * 0.2 + 0.5 * 0.6)
    assert part.internal == pytest.approx((hidden + 4 * 25) / 6)
    assert part.switching == pytest.approx(4 * 0.01 * 2.0 / 6)
    assert part.leakage_mw == pytest.approx(5e-3)


def test_clock_gate_energy_equals_hand_calculation(library):
    top = netlist(
        {"clk": 2, "d": 3, "e": 4},
        {"q": 6},
        gate=("GATE", {"CK": 2, "E": 4, "G": 5}),
        ff=("DFF", {"D": 3, "CK": 5, "R": "1", "Q": 6}),
    )
    circuit = Circuit("top", {"top": top}, library.cells)
    given = {"d": [0, 1, 1, 0, 1, 0], "e": [0, 0, 1, 1, 0, 0]}
    _, activity = replay(
        circuit, {name: np.array(values)[:, None] for name, values in given.items()}
    )
    (part,) = Power(circuit, library).parts(activity)
    # Edges of the gated clock end cycles 2 and 3, with (D, Q) = 10 and 01; it falls in 3 and 4,
    # with 01 and 10.
    flop = (0 + 8) + (10 + 6) + 2 * 0.05 * 2.0**2
    gate = 6 * (40 + 60) + 2 * (100 + 300) + 6 * 0.03 * 2.0**2
    assert part.clock == pytest.approx((flop + gate) / 6)
    # Its clock is high in half of a third of the time when D changes; E changes twice, Q twice.
    hidden = 4 * (0.2 / 6 + 0.6 * 5 / 6) + 2 * 8
    assert part.internal == pytest.approx((hidden + 2 * 25) / 6)
    assert part.switching == pytest.approx((4 * 0.01 + 2 * 0.02) * 2.0 / 6)


def test_clock_gate_with_conditional_clock_tables(tmp_path):
    old = 'internal_power() { rise_power(scalar) { values("40"); }'
    assert small.LIBRARY.count(old) == 1
    new = (
        'internal_power() { when : "!E"; rise_power(scalar) { values("4"); } } '
        'internal_power() { when : "E\'\'"; rise_power(scalar) { values("40"); }'
    )
    (tmp_path / "conditional.lib").write_text(small.LIBRARY.replace(old, new))
    pins = {"CK": 2, "E": 3, "G": 4}
    library = read_liberty(tmp_path / "conditional.lib")
    part = single("GATE", {"e": 3}, {"g": 4}, pins, library, {"e": [0, 1, 0, 0]})
    # E is high in 1 of 4 cycles, which then end with a rise and a fall of G.
    own = (3 * 4 + (40 + 60)) / 4 + 0.03 * 2.0**2
    assert part.clock == pytest.approx(own + 2 * (100 + 300) / 2 / 4)
