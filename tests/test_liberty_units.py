import pytest

from implicore.errors import BadInput
from implicore.synth.liberty.reader import parse_liberty
from implicore.synth.liberty.units import Units


def units(text):
    return Units.of(parse_liberty(f"library(a) {{ {text} }}"))


def test_units_of_the_file():
    found = units(
        'time_unit : "10ps"; capacitive_load_unit(0.1, ff); voltage_unit : "100mV"; '
        'leakage_power_unit : "100uW";'
    )
    assert found.ns == pytest.approx(1e-2) and found.pf == pytest.approx(1e-4)
    assert found.volt == pytest.approx(0.1) and found.mw == pytest.approx(0.1)
    assert found.pj == pytest.approx(1e-6)  # 0.1 fF x (0.1 V)^2


def test_units_that_are_not_given():
    assert units("") == Units(ns=1.0, pf=1.0, volt=1.0, mw=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('time_unit : "1";', r"^The library a gives time_unit as '1': choose a number and one of"),
        ('voltage_unit : "1kV";', r"gives voltage_unit as '1kV': .* mv, v\.$"),
        ("capacitive_load_unit(pf);", r"gives capacitive_load_unit as 'pf': .* ff, pf, nf\.$"),
        ('leakage_power_unit : "W";', r"gives leakage_power_unit as 'W': .* fw, pw, nw, uw, mw\.$"),
    ],
)
def test_other_units_are_rejected(text, message):
    with pytest.raises(BadInput, match=message):
        units(text)
