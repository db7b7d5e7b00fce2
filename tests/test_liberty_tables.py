import numpy as np
import pytest

from implicore.errors import BadInput
from implicore.synth.liberty.reader import parse_liberty
from implicore.synth.liberty.tables import read_table
from implicore.synth.liberty.units import Units

TEMPLATES = """
library(a) {
  lu_table_template(slew_load) { variable_1 : input_net_transition;
    variable_2 : total_output_net_capacitance; index_1("0, 1"); index_2("0, 2, 4"); }
  power_lut_template(load_slew) { variable_1 : total_output_net_capacitance;
    variable_2 : input_transition_time; index_1("0, 1"); index_2("0, 1, 3"); }
  power_lut_template(load) { variable_1 : total_output_net_capacitance; index_1("0, 1"); }
  power_lut_template(slew) { variable_1 : input_transition_time; index_1("0, 1"); }
}
"""


def table(text, units=None, scale=1.0):
    templates = {group.name: group for group in parse_liberty(TEMPLATES).groups}
    return read_table(parse_liberty(text), templates, units or Units(1.0, 1.0, 1.0, 1.0), scale)


def test_axes_in_either_order():
    found = table('rise(slew_load) { values("1, 2, 4", "3, 4, 6"); }')
    assert found.at(0.0, 1.0) == 1.5 and found.at(0.5, 0.0) == 2.0 and found.at(0.5, 3.0) == 4.0
    found = table('rise(load_slew) { values("1, 2, 4", "3, 4, 6"); }')
    assert found.at(0.0, 0.5) == 2.0 and found.at(2.0, 0.0) == 3.0


def test_beyond_the_table_its_edge_holds():
    found = table('rise(slew_load) { values("1, 2, 4", "3, 4, 6"); }')
    assert found.at(-1.0, -1.0) == 1.0 and found.at(9.0, 9.0) == 6.0


def test_tables_that_do_not_depend_on_an_axis():
    assert table('rise(scalar) { values("7"); }').at(0.3, 0.4) == 7.0
    assert table("rise(scalar) { values(7); }").at(np.zeros(3), 0.0).tolist() == [7.0] * 3
    assert table('rise(load) { values("1, 3"); }').at(5.0, 0.5) == 2.0
    assert table('rise(slew) { values("1, 3"); }').at(0.5, 5.0) == 2.0
    assert table('rise(slew) { index_1("2, 4"); values("1, 3"); }').at(3.0, 5.0) == 2.0


def test_units_and_scale():
    found = table('rise(load_slew) { values("1, 2, 4", "3, 4, 6"); }', Units(10, 100, 1, 1), 1000)
    assert found.at(5.0, 0.0) == 1500 and found.at(0.0, 50.0) == 2000


def test_a_table_of_another_size():
    with pytest.raises(BadInput, match=r"^The rise table of template 'slew' has 3 values for 2\.$"):
        table('rise(slew) { values("1, 2, 3"); }')
    with pytest.raises(BadInput, match=r"template 'slew_load' has 2 values for 2 x 3\.$"):
        table('rise(slew_load) { values("1, 2"); }')
    with pytest.raises(BadInput, match=r"template 'none' has 2 values for 1\.$"):
        table('rise(none) { values("1, 2"); }')
