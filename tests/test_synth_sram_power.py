import numpy as np
import pytest

from implicore.synth.activity import Activity
from implicore.synth.circuit import Circuit
from implicore.synth.macros import Macro
from implicore.synth.netlist import Netlist
from implicore.synth.power import Part
from implicore.synth.sram_power import sram_energies

LIBRARY = """
library(kit) {
  nom_voltage : 2; leakage_power_unit : "1uW"; capacitive_load_unit(1, pf);
  cell(SRAM) { cell_leakage_power : 3;
    pin(CK) { direction : input; capacitance : 0.5;
      internal_power() { when : "EN & WE"; rise_power(scalar) { values("7"); } }
      internal_power() { when : "EN & RE"; rise_power(scalar) { values("5"); } } }
    pin(EN, WE, RE) { direction : input; capacitance : 0.1;
      internal_power() { when : "EN"; rise_power(scalar) { values("2"); } } }
    bus(A) { direction : input; capacitance : 0.2; }
    bus(DI) { direction : input; pin(DI[1:0]) {
      internal_power() { rise_power(scalar) { values("4"); }
        fall_power(scalar) { values("6"); } } } }
    bus(DO) { direction : output; }
  }
}
"""
PINS = {
    **{"ports": [""], "clock": "CK", "enable": "EN", "write": "WE", "read": "RE"},
    **{"address": "A", "data_in": "DI", "data_out": "DO"},
}


def test_sram_energy_equals_hand_calculation(tmp_path):
    """Two bit lanes; EN is high in half of the cycles."""
    (tmp_path / "kit.lib").write_text(LIBRARY)
    macro = Macro("SRAM", 2, 2, 1, tmp_path / "kit.lib", PINS)
    inputs = {"CK": [2], "EN": [3], "WE": [4], "RE": [5], "A": [6], "DI": [7, 8]}
    ports = {"clk": ("input", [2]), "i": ("input", [3, 4, 5, 6, 7, 8]), "o": ("output", [9, 10])}
    netlist = Netlist(ports, {"sram": ("SRAM", {**inputs, "DO": [9, 10]})}, {})
    circuit = Circuit("top", {"top": netlist}, {}, {"SRAM": macro}, bit_lanes=2)
    nets = circuit.groups[0].nets
    toggles, highs = np.zeros((2, len(circuit.bit_lanes)))
    cycles = 10
    for bit, count in {3: 4, 6: 8, 7: 3, 8: 5}.items():
        toggles[nets[bit]] = count
    highs[nets[3]] = cycles  # of 2 x 10
    counts = np.array([6]), np.array([2])
    activity = Activity(cycles, toggles, highs, np.zeros((0, 6)), *counts)
    part = Part("", "top", 2)
    for field, amount in sram_energies(circuit, 0, activity):
        part.add(field, amount)
    assert part.clock == pytest.approx(2 * 0.5 * 2.0**2)
    assert part.access == pytest.approx((6 * 5 + 2 * 7) / 10)
    assert part.switching == pytest.approx((4 * 0.1 + 8 * 0.2) * 2.0**2 / 2 / 10)
    # EN: (2 + 0) / 2 where it is high itself; each bit of DI (4 + 6) / 2.
    assert part.internal == pytest.approx((4 * 1 / 2 + 8 * 5) / 10)
    assert part.leakage_mw == pytest.approx(2 * 3e-3)
