import pytest

from implicore.errors import BadInput
from implicore.synth.liberty import read_liberty

LIBRARY = """
library(other) {
  nom_voltage : 5; voltage_unit : "100mV"; time_unit : "10ps"; capacitive_load_unit(10, ff);
  leakage_power_unit : "10nW"; default_cell_leakage_power : 50;
  lu_table_template(delay) { variable_1 : input_net_transition;
    variable_2 : total_output_net_capacitance; index_1("0, 10"); index_2("0, 10"); }
  power_lut_template(slew) { variable_1 : input_transition_time; index_1("0, 10"); }
  cell(SRAM) { area : 30; cell_leakage_power : 200;
    pin(CK) { direction : input; clock : true; capacitance : 3;
      internal_power() { when : "WE|RE"; rise_power(scalar) { values("100"); }
        fall_power(scalar) { values("1"); } }
      internal_power() { when : "WE' & !RE & EN"; rise_power(slew) { values("2, 4"); }
        fall_power(scalar) { values("7"); } } }
    pin(EN, WE, RE) { direction : input; capacitance : 1; }
    bus(D) { direction : input; capacitance : 2; pin(D[1:0]) {
      internal_power() { rise_power(scalar) { values("5"); } } } }
    bus(Q) { direction : output; timing() { related_pin : "CK";
      cell_rise(delay) { values("1, 2", "3, 40"); } cell_fall(scalar) { values("6"); }
      rise_transition(scalar) { values("20"); } fall_transition(scalar) { values("40"); } } }
  }
  cell(STATES) { leakage_power() { when : "A|B"; value : 1; }
    leakage_power() { when : "A' B'"; value : 4; } pin(A, B) { direction : input; } }
  cell(PLAIN) { leakage_power() { when : "A"; value : 1; } leakage_power() { value : 3; }
    pin(A) { direction : input; } }
  cell(GENERAL) { leakage_power() { when : "A"; value : 1; } pin(A) { direction : input; } }
  BROKEN
}
"""


def library(folder, broken="", **changed):
    text = LIBRARY.replace("BROKEN", broken)
    for old, new in changed.items():
        assert old in text
        text = text.replace(old, new)
    path = folder / "other.lib"
    path.write_text(text)
    return read_liberty.__wrapped__(path)


@pytest.fixture
def cells(tmp_path):
    return library(tmp_path).cells


def test_pins(cells):
    sram = cells["SRAM"]
    assert list(sram.pins) == ["CK", "EN", "WE", "RE", "D", "Q"]
    assert sram.inputs == ["CK", "EN", "WE", "RE", "D"]
    assert sram.area == 30.0 and cells["PLAIN"].area == 0.0


def test_figures_in_pf_ns_and_pj(cells):
    sram = cells["SRAM"]
    assert sram.library.voltage == pytest.approx(0.5)
    assert sram.capacitance == pytest.approx(dict(CK=0.03, EN=0.01, WE=0.01, RE=0.01, D=0.02))
    assert sram.access_ns == pytest.approx(0.4)
    (arc,) = sram.slew["Q"]
    assert arc.related == "CK" and arc.at(0.0, 0.0) == pytest.approx(0.3)
    (arc,) = sram.energy["D"]  # of the pin within the bus; 10 fF x (100 mV)^2 each
    assert arc.at(0.0, 0.0) == pytest.approx(5e-4 / 2)


@pytest.mark.parametrize(
    ("levels", "energy"),
    [
        ({"EN": 1, "WE": 1, "RE": 0}, 101e-4),
        ({"EN": 0, "WE": 0, "RE": 1}, 101e-4),
        ({"EN": 1, "WE": 0, "RE": 0}, 10e-4),  # (2 + 4) / 2 + 7
    ],
)
def test_energy_under_a_condition(cells, levels, energy):
    assert cells["SRAM"].period_energy("CK", levels) == pytest.approx(energy)


def test_no_condition_that_holds(cells):
    message = (
        r"^Library other, cell SRAM, pin CK: no internal_power holds while no pin is high; "
        r"its conditions are 'WE\|RE', \"WE' & !RE & EN\"\.$"
    )
    with pytest.raises(BadInput, match=message):
        cells["SRAM"].period_energy("CK", {"EN": False, "WE": False, "RE": False})
    with pytest.raises(BadInput, match=r"pin EN: no internal_power holds .* conditions are none"):
        cells["SRAM"].period_energy("EN", {})


def test_the_table_without_a_condition_holds_else(tmp_path):
    plain = 'internal_power() { rise_power(scalar) { values("9"); } } clock : true'
    sram = library(tmp_path, **{"clock : true": plain}).cells["SRAM"]
    levels = {"EN": False, "WE": False, "RE": False}
    assert sram.period_energy("CK", levels) == pytest.approx(9e-4)
    assert sram.period_energy("CK", {**levels, "WE": True}) == pytest.approx(101e-4)


def test_leakage(cells):
    assert cells["SRAM"].leakage == ([], pytest.approx(200 * 1e-5))  # mW
    conditions, otherwise = cells["STATES"].leakage
    assert [(when.pins, mw) for when, mw in conditions] == [
        (("A", "B"), pytest.approx(1e-5)),
        (("A", "B"), pytest.approx(4e-5)),
    ]
    assert otherwise == pytest.approx(2.5e-5)  # they leave out no state: their mean
    assert cells["PLAIN"].leakage[1] == pytest.approx(3e-5)
    assert cells["GENERAL"].leakage[1] == pytest.approx(50e-5)


def test_leakage_that_leaves_out_a_state(tmp_path):
    cells = library(tmp_path, **{"default_cell_leakage_power : 50;": ""}).cells
    message = r"^Library other, cell GENERAL: the conditions of its leakage_power, 'A', leave out a"
    with pytest.raises(BadInput, match=message):
        cells["GENERAL"].leakage  # noqa: B018


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("A & W", r"the condition 'A & W' names W, which is not a one-bit pin\.$"),
        ("D", r"the condition 'D' names D, which is not a one-bit pin\.$"),
        ("A &", r"the condition 'A &' is not a Boolean function of a Liberty file\.$"),
    ],
)
def test_conditions_that_cannot_be_evaluated(tmp_path, when, message):
    broken = (
        f'cell(X) {{ pin(A) {{ internal_power() {{ when : "{when}"; rise_power(scalar) '
        '{ values("1"); } } } bus(D) { } }'
    )
    cells = library(tmp_path, broken).cells
    with pytest.raises(BadInput, match="^Library other, cell X, pin A: " + message):
        cells["X"].energy  # noqa: B018


def test_supply_voltage(tmp_path):
    given = 'default_operating_conditions : slow; operating_conditions("slow") { voltage : 9; }'
    assert library(tmp_path, **{"nom_voltage : 5;": given}).voltage == pytest.approx(0.9)
    missing = library(tmp_path, **{"nom_voltage : 5;": ""})
    with pytest.raises(BadInput, match=r"^The library other gives no nom_voltage, which energies"):
        missing.voltage  # noqa: B018


def test_a_file_that_cannot_be_used(tmp_path):
    with pytest.raises(BadInput, match=r"^.*other\.lib is not a usable Liberty file: [^.]+\.$"):
        library(tmp_path, "}")
    (tmp_path / "binary.lib").write_bytes(b"library(a) { \xff }")
    with pytest.raises(BadInput, match=r"binary\.lib is not a usable Liberty file: 'utf"):
        read_liberty(tmp_path / "binary.lib")
