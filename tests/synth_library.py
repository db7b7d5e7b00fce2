"""For tests of energy: a library for hand calculations, and an accelerator in real cells."""

import pytest

from implicore.accelerator_config import AcceleratorConfig
from implicore.errors import BadInput
from implicore.formats import Formats
from implicore.network_shape import NetworkShape
from implicore.synth import asic, mapping, target
from implicore.synth.liberty import read_liberty
from implicore.synth.netlist import Netlist

FORMATS = Formats.parse("w6a6")
NETWORK = NetworkShape(frequencies=5, width=7, depth=3, skips=(2,))
SMALL = AcceleratorConfig.sized(2, 3, FORMATS, [NETWORK])
PATCH_NETWORK = NetworkShape(frequencies=5, width=7, depth=3, skips=(2,), outputs=6)
PATCH = AcceleratorConfig.sized(2, 3, FORMATS, [PATCH_NETWORK])


def cells(name):
    """Return a target, or skip the test with the reason."""
    try:
        return target.find(name)
    except BadInput as error:
        pytest.skip(str(error))


def mapped(config, library):
    """Map a design by one recipe: its clock does not matter here."""
    modules, banks = asic.sources(config, library, 4.0)
    found = {
        name: mapper(mapping.RECIPES[1], library)
        for name, mapper in asic.mappers(modules, banks).items()
    }
    return asic.Design(config, library, 4.0, found, banks)


LIBRARY = """
library(small) {
  nom_voltage : 2.0;
  capacitive_load_unit(1, pf);
  leakage_power_unit : "1uW";
  lu_table_template(delay) {
    variable_1 : input_net_transition; variable_2 : total_output_net_capacitance;
    index_1("0, 1"); index_2("0, 1");
  }
  power_lut_template(energy) {
    variable_1 : total_output_net_capacitance; variable_2 : input_transition_time;
    index_1("0, 1"); index_2("0, 1");
  }
  power_lut_template(hidden) { variable_1 : input_transition_time; index_1("0, 1"); }
  cell(INV) {
    area : 1; cell_leakage_power : 3;
    pin(A) { direction : input; capacitance : 0.01; }
    pin(Y) { direction : output; function : "!A";
      timing() { related_pin : "A"; rise_transition(delay) { values("0.2, 0.2", "0.2, 0.2"); }
        fall_transition(delay) { values("0.4, 0.4", "0.4, 0.4"); } }
      internal_power() { related_pin : "A"; rise_power(energy) { values("1, 1", "3, 3"); }
        fall_power(energy) { values("0, 2", "0, 2"); } } }
  }
  cell(NAND2) {
    area : 2; cell_leakage_power : 1;
    pin(A) { direction : input; capacitance : 0.02; }
    pin(B) { direction : input; capacitance : 0.03; }
    pin(Y) { direction : output; function : "!(A B)"; }
  }
  cell(XOR2) {
    area : 4; cell_leakage_power : 2;
    leakage_power() { when : "A*B"; value : 10; }
    leakage_power() { when : "!A"; value : 4; }
    pin(A) { direction : input; capacitance : 0.02; }
    pin(B) { direction : input; capacitance : 0.02; }
    pin(Y) { direction : output; function : "A^B";
      internal_power() { related_pin : "A"; when : "B"; rise_power(scalar) { values("2"); }
        fall_power(scalar) { values("4"); } }
      internal_power() { related_pin : "A"; when : "!B"; rise_power(scalar) { values("5"); }
        fall_power(scalar) { values("7"); } }
      internal_power() { related_pin : "A"; rise_power(scalar) { values("100"); }
        fall_power(scalar) { values("100"); } }
      internal_power() { related_pin : "B"; rise_power(scalar) { values("9"); }
        fall_power(scalar) { values("11"); } } }
  }
  cell(DFF) {
    area : 8; cell_leakage_power : 5;
    ff(IQ, IQN) { next_state : "D"; clocked_on : "CK"; clear : "!R"; }
    pin(D) { direction : input; capacitance : 0.01;
      internal_power() { when : "CK"; rise_power(scalar) { values("0.1"); }
        fall_power(scalar) { values("0.3"); } }
      internal_power() { when : "!CK"; rise_power(scalar) { values("0.5"); }
        fall_power(scalar) { values("0.7"); } }
      internal_power() { rise_power(scalar) { values("50"); } fall_power(scalar) { values("50"); } }
    }
    pin(R) { direction : input; capacitance : 0.01; }
    pin(CK) { direction : input; clock : true; capacitance : 0.05;
      internal_power() { when : "D*Q"; rise_power(hidden) { values("1, 1"); }
        fall_power(hidden) { values("3, 3"); } }
      internal_power() { when : "D*!Q"; rise_power(scalar) { values("0"); }
        fall_power(scalar) { values("6"); } }
      internal_power() { when : "!D"; rise_power(scalar) { values("8"); }
        fall_power(scalar) { values("10"); } } }
    pin(Q) { direction : output; function : "IQ";
      internal_power() { related_pin : "CK"; rise_power(scalar) { values("20"); }
        fall_power(scalar) { values("30"); } } }
    pin(QN) { direction : output; function : "IQN"; }
  }
  cell(GATE) {
    area : 5; cell_leakage_power : 1; clock_gating_integrated_cell : "latch_posedge";
    statetable("CK E", "S") { table : "L L : - : L, L H : - : H, H - : - : N"; }
    pin(S) { direction : internal; internal_node : "S"; }
    pin(CK) { direction : input; clock : true; capacitance : 0.03;
      internal_power() { rise_power(scalar) { values("40"); }
        fall_power(scalar) { values("60"); } } }
    pin(E) { direction : input; capacitance : 0.02; clock_gate_enable_pin : true;
      internal_power() { rise_power(scalar) { values("7"); } fall_power(scalar) { values("9"); } } }
    pin(G) { direction : output; clock_gate_out_pin : true; state_function : "CK * S";
      internal_power() { related_pin : "CK"; rise_power(scalar) { values("100"); }
        fall_power(scalar) { values("300"); } } }
  }
  cell(LATCH) { latch(IQ, IQN) { data_in : "D"; enable : "G"; }
    pin(D) { direction : input; } pin(G) { direction : input; }
    pin(Q) { direction : output; function : "IQ"; } }
  cell(TIE) { pin(Y) { direction : output; function : "1"; } }
}
"""


def library(folder):
    """The library, from a file."""
    path = folder / "small.lib"
    path.write_text(LIBRARY)
    return read_liberty(path)


def netlist(inputs, outputs, **cells):
    """A module: ports of one bit each, cells as ``name=("TYPE", {"PIN": net})``."""
    ports = {name: ("input", [bit]) for name, bit in inputs.items()}
    ports |= {name: ("output", [bit]) for name, bit in outputs.items()}
    connected = {
        name: (kind, {pin: [bit] for pin, bit in pins.items()})
        for name, (kind, pins) in cells.items()
    }
    return Netlist(ports, connected, {})
