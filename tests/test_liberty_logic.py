import pytest
import synth_library as small

from implicore.process import ToolFailed
from implicore.synth.liberty.logic import logic_of


@pytest.fixture
def cells(tmp_path):
    return small.library(tmp_path).cells


def test_a_gate(cells):
    assert logic_of(cells["NAND2"]).outputs["Y"].pins == ("A", "B")
    assert logic_of(cells["NAND2"]).clock is None


def test_a_flip_flop(cells):
    dff = logic_of(cells["DFF"])
    assert dff.clock == "CK" and dff.idle == {"R": True}
    assert dff.outputs == {"Q": False, "QN": True} and dff.next_state.pins == ("D",)


def test_a_clock_gate(cells):
    gate = logic_of(cells["GATE"])
    assert (gate.clock, gate.enable, gate.outputs) == ("CK", "E", {"G": False})


def test_other_cells_are_rejected(cells):
    with pytest.raises(ToolFailed, match="LATCH is neither a gate nor a flip-flop"):
        logic_of(cells["LATCH"])
