import os
from dataclasses import replace

import pytest

from implicore.errors import BadInput
from implicore.synth import macros, target
from implicore.synth.memories import Memory

LIBRARY = """
library(kit) {
  nom_voltage : 1; leakage_power_unit : "1uW"; capacitive_load_unit(1, ff); time_unit : "1ps";
  cell(SRAM) { area : 8; cell_leakage_power : 2.5;
    pin(A_CK, B_CK) { direction : input;
      internal_power() { when : "A_EN & A_WE & !A_RE & A_M & DELAY";
        rise_power(scalar) { values("3000"); } }
      internal_power() { when : "(B_RE | B_WE) & B_EN & !A_EN & B_DLY";
        rise_power(scalar) { values("1000"); } fall_power(scalar) { values("500"); } } }
    pin(A_EN, A_WE, A_RE, A_M, A_DLY, B_EN, B_WE, B_RE, B_M, B_DLY) { direction : input; }
    pin(B_DO) { direction : output; timing() { related_pin : "B_CK";
      cell_rise(scalar) { values("700"); } cell_fall(scalar) { values("800"); } } }
  }
}
"""
PINS = {
    "ports": ["A_", "B_"],
    **{"clock": "CK", "enable": "EN", "write": "WE", "read": "RE", "data_out": "DO"},
    **{"mask": "M", "high": ["DLY"]},
}


def macro(folder, delay="A_DLY"):
    (folder / "kit.lib").write_text(LIBRARY.replace("DELAY", delay))
    return macros.Macro("SRAM", 64, 1, 2, folder / "kit.lib", PINS)


def test_units_come_from_the_library(tmp_path):
    sram = macro(tmp_path)
    assert sram.energy_pj(write=True) == pytest.approx(3.0)  # 3000 fF V^2
    assert sram.energy_pj(write=False) == pytest.approx(1.5)
    assert sram.access_ns == pytest.approx(0.8)
    memory = Memory("bank", "weights", 128, 3, 2, sram, deep=2, wide=3)
    assert memory.leakage_mw == pytest.approx(6 * 2.5e-3)
    assert memory.energy_pj(write=True) == pytest.approx(3 * 3.0)


def test_access_without_a_matching_condition_is_an_error(tmp_path):
    sram = macro(tmp_path, delay="B_EN")
    message = (
        r"^Library kit, cell SRAM, pin A_CK: no internal_power holds while only A_EN, A_WE, A_M, "
        r"A_DLY, B_DLY is high; its conditions are 'A_EN & A_WE & !A_RE & A_M & B_EN', "
    )
    with pytest.raises(BadInput, match=message):
        sram.energy_pj(write=True)
    assert sram.energy_pj(write=False) == pytest.approx(1.5)


@pytest.fixture(scope="module")
def osu():
    return target.find("osu018")


@pytest.fixture(scope="module")
def ihp():
    if not os.environ.get("PDK_ROOT"):
        pytest.skip("PDK_ROOT is not set: the ihp-sg13g2 kit is not here")
    return target.find("ihp-sg13g2")


def test_macro_values_come_from_the_liberty_file(ihp):
    macro = next(m for m in macros.macros_of(ihp) if (m.depth, m.width, m.ports) == (256, 16, 1))
    assert macro.area_um2 == 28127.104
    # A_CLK, "A_MEN & !A_WEN & A_REN" and "A_MEN & A_WEN & !A_REN".
    assert (macro.energy_pj(write=False), macro.energy_pj(write=True)) == (14.192, 18.4562)
    assert macro.access_ns == 3.1758


def test_model_is_close_to_the_fitted_macros(ihp, osu):
    here = replace(osu, estimate={"scale": 0.13, "voltage": 1.2})
    for macro in macros.macros_of(ihp):
        if macro.depth > 4096:
            continue
        model = macros.modelled(macro.depth, macro.width, macro.ports, here)
        assert model.area_um2 == pytest.approx(macro.area_um2, rel=0.10)
        for write in (False, True):
            assert model.energy_pj(write=write) == pytest.approx(
                macro.energy_pj(write=write), rel=0.13
            )
        assert model.access_ns == pytest.approx(macro.access_ns, rel=0.16)
