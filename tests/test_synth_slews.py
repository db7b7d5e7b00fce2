import pytest
import synth_library as small

from implicore.synth.circuit import Circuit
from implicore.synth.power import Power
from implicore.synth.slews import CLOCK_SLEW_NS

netlist = small.netlist


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return small.library(tmp_path_factory.mktemp("library"))


def test_load_is_the_sum_of_all_driven_pins(library):
    """An inverter that drives one pin in the module, and one more in half of the instances."""
    part = netlist(
        {"a": 3}, {"y": 4}, gate=("INV", {"A": 3, "Y": 4}), more=("INV", {"A": 4, "Y": 5})
    )
    top = netlist(
        {"clk": 2, "a": 3},
        {"y": 6},
        part_0=("part", {"a": 3, "y": 4}),
        part_1=("part", {"a": 3, "y": 5}),
        gate=("NAND2", {"A": 4, "B": 5, "Y": 6}),
        xor=("XOR2", {"A": 4, "B": "1", "Y": 7}),
    )
    circuit = Circuit("top", {"top": top, "part": part}, library.cells)
    power = Power(circuit, library)
    group = circuit.groups[1]
    # INV.A in both, NAND2.A and XOR2.A in one, NAND2.B in the other.
    assert power.loads[group.nets[4]] == pytest.approx(0.01 + (0.02 + 0.02 + 0.03) / 2)
    assert power.slews[group.nets[4]] == pytest.approx(0.3)
    assert power.slews[circuit.groups[0].nets[3]] == CLOCK_SLEW_NS
