import numpy as np
import pytest
import synth_library as small

from implicore.process import ToolFailed
from implicore.synth.activity import replay
from implicore.synth.circuit import CLOCK, HIGH, LOW, Circuit

netlist = small.netlist


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    return small.library(tmp_path_factory.mktemp("library")).cells


def flop(**pins):
    return "DFF", {"CK": 2, "R": "1", **pins}


def test_hierarchy_computes_in_all_bit_lanes(cells):
    """Two chains of three stages, each an inverter and a flip-flop, in two levels of modules."""
    stage = netlist({"clk": 2, "a": 3}, {"y": 5}, gate=("INV", {"A": 3, "Y": 4}), ff=flop(D=4, Q=5))
    chain = netlist(
        {"clk": 2, "a": 3},
        {"y": 6},
        stage_0=("stage", {"clk": 2, "a": 3, "y": 4}),
        stage_1=("stage", {"clk": 2, "a": 4, "y": 5}),
        stage_2=("stage", {"clk": 2, "a": 5, "y": 6}),
    )
    top = netlist(
        {"clk": 2, "a": 3, "b": 4},
        {"y": 7},
        chain_0=("chain", {"clk": 2, "a": 3, "y": 5}),
        chain_1=("chain", {"clk": 2, "a": 4, "y": 6}),
        gate=("XOR2", {"A": 5, "B": 6, "Y": 7}),
    )
    circuit = Circuit("top", {"top": top, "chain": chain, "stage": stage}, cells, bit_lanes=3)
    assert [(group.path, group.bit_lanes) for group in circuit.groups] == [
        ("", 3),
        ("chain", 6),
        ("chain.stage", 18),
    ]
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2, (2, 100, 3))
    outputs, _ = replay(circuit, {"a": a, "b": b})
    assert (outputs["y"][3:] == (a ^ b)[:-3]).all()


def test_more_bit_lanes_than_bits_in_a_word(cells):
    top = netlist(
        {"clk": 2, "a": 3, "b": 4},
        {"y": 6, "z": 7},
        gate=("NAND2", {"A": 3, "B": 4, "Y": 5}),
        ff=flop(D=5, Q=6, QN=7),
    )
    circuit = Circuit("top", {"top": top}, cells, bit_lanes=150)
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 2, (2, 50, 150))
    outputs, activity = replay(circuit, {"a": a, "b": b})
    expected = 1 - (a & b)
    assert (outputs["y"][1:] == expected[:-1]).all()
    assert (outputs["z"][1:] == 1 - expected[:-1]).all()
    nets = circuit.groups[0].nets
    assert activity.toggles[nets[5]] == np.abs(np.diff(expected, axis=0, prepend=0)).sum()
    assert activity.highs[nets[5]] == expected.sum()
    held = np.concatenate([np.zeros((1, 150), int), expected[:-1]])
    # D, Q and both of them; every cycle begins and ends with an edge.
    states = [expected.sum(), held.sum(), (expected & held).sum()]
    assert activity.joint[0].tolist() == states + states


def test_constant_levels_are_counted(cells):
    """One bit lane: levels that hold for many cycles, an enable that rises while D is constant."""
    top = netlist(
        {"clk": 2, "a": 3, "e": 4},
        {"y": 6},
        ff=flop(D=3, Q=6, CK=5),
        gate=("GATE", {"CK": 2, "E": 4, "G": 5}),
    )
    circuit = Circuit("top", {"top": top}, cells)
    a = np.repeat([0, 1, 0], [3, 20, 7])[:, None]
    e = np.repeat([0, 1, 0], [10, 2, 18])[:, None]
    outputs, activity = replay(circuit, {"a": a, "e": e})
    assert outputs["y"][:, 0].tolist() == [0] * 11 + [1] * 19
    nets = circuit.groups[0].nets
    assert [activity.highs[nets[bit]] for bit in (3, 4, 6)] == [20, 2, 19]
    assert [activity.toggles[nets[bit]] for bit in (3, 4, 6)] == [2, 2, 1]


def test_chain_of_instances_of_one_group(cells):
    """Every instance reads the previous one, also across the words of bit lanes."""
    stage = netlist({"clk": 2, "a": 3}, {"y": 4}, ff=flop(D=3, Q=4))
    stages = {
        f"stage_{number}": ("stage", {"clk": 2, "a": 3 + number, "y": 4 + number})
        for number in range(140)
    }
    top = netlist({"clk": 2, "a": 3}, {"y": 143}, **stages)
    circuit = Circuit("top", {"top": top, "stage": stage}, cells)
    a = np.random.default_rng(3).integers(0, 2, (400, 1))
    outputs, _ = replay(circuit, {"a": a})
    assert (outputs["y"][140:] == a[:-140]).all()


def test_gated_clock_holds_the_state(cells):
    top = netlist(
        {"clk": 2, "a": 3, "e": 4},
        {"y": 6},
        ff=flop(D=3, Q=6, CK=5),
        gate=("GATE", {"CK": 2, "E": 4, "G": 5}),
    )
    circuit = Circuit("top", {"top": top}, cells, bit_lanes=90)
    rng = np.random.default_rng(2)
    a, e = rng.integers(0, 2, (2, 60, 90))
    outputs, activity = replay(circuit, {"a": a, "e": e})
    q = np.zeros((61, 90), int)
    for cycle in range(60):
        q[cycle + 1] = np.where(e[cycle], a[cycle], q[cycle])
    assert (outputs["y"] == q[:-1]).all()
    assert activity.toggles[circuit.groups[0].nets[6]] == np.abs(np.diff(q, axis=0)).sum()
    before = np.concatenate([np.zeros((1, 90), int), e[:-1]])
    states = (a, q[:-1], a & q[:-1])
    assert activity.joint[0].tolist() == [
        int((edge & state).sum()) for edge in (e, before) for state in states
    ]


def test_constants_and_clock_are_shared_by_all_groups(cells):
    part = netlist({"clk": 2, "a": 3, "r": 4}, {"y": 5}, ff=flop(D=3, R=4, Q=5))
    top = netlist(
        {"clk": 2},
        {"y": 6, "z": 7},
        tie=("TIE", {"Y": 3}),
        part_0=("part", {"clk": 2, "a": "0", "r": 3, "y": 6}),
        part_1=("part", {"clk": 2, "a": "0", "r": "1", "y": 7}),
    )
    circuit = Circuit("top", {"top": top, "part": part}, cells)
    part = circuit.groups[1]
    assert circuit.net(part, 2) == CLOCK
    assert circuit.groups[0].nets[3] == HIGH and circuit.net(part, 3) == LOW
    assert circuit.undriven == 0


def test_undriven_nets_are_counted(cells):
    top = netlist({"clk": 2}, {"y": 4}, gate=("INV", {"A": 3, "Y": 4}))
    assert Circuit("top", {"top": top}, cells, bit_lanes=2).undriven == 2


def test_unsupported_netlists_are_rejected(cells):
    def circuit(*, inputs=None, **parts):
        Circuit("top", {"top": netlist({"clk": 2, **(inputs or {})}, {}, **parts)}, cells)

    with pytest.raises(ToolFailed, match="a combinational loop"):
        circuit(
            one=("INV", {"A": 3, "Y": 4}),
            two=("INV", {"A": 4, "Y": 3}),
        )
    with pytest.raises(ToolFailed, match="ff of top is clocked neither by clk nor by a"):
        circuit(gate=("INV", {"A": 2, "Y": 3}), ff=flop(D="0", CK=3, Q=4))
    with pytest.raises(ToolFailed, match="ff of top uses its asynchronous pin R"):
        circuit(inputs={"rst": 3}, ff=flop(D="0", R=3, Q=4))
    with pytest.raises(ToolFailed, match="two of top is not clocked by clk itself"):
        circuit(
            inputs={"e": 3},
            one=("GATE", {"CK": 2, "E": 3, "G": 4}),
            two=("GATE", {"CK": 4, "E": 3, "G": 5}),
        )
    with pytest.raises(ToolFailed, match="a cell AOI, which is not in the library"):
        circuit(gate=("AOI", {"A": 2}))
