import pytest

from implicore.errors import BadInput
from implicore.synth.liberty.reader import parse_liberty

TEXT = """
/* a comment * with / stars **/
library ("cells.a") {  // another one
  time_unit : "1ns" ;
  nom_voltage : 1.20
  capacitive_load_unit (1,pf);
  define (kind, cell, "string");
  vimax : VDD * 1.1 + 0.5;
  table(t) { values ( \\
    "0.1, -2e-3", \\
    "3, 4" \\
  ) }
  statetable ("CK E", "S") { table : "L L : - : L ,\\
    H - : - : N"; }
  empty() { };
  bus(A[7:0]) { direction : input /* not output */; bus_type : bits_8; }
  time_unit : 10ps;
}
"""


def test_groups_and_attributes():
    library = parse_liberty(TEXT)
    assert (library.kind, library.name) == ("library", "cells.a")
    assert [group.kind for group in library.groups] == ["table", "statetable", "empty", "bus"]
    assert library.attributes["capacitive_load_unit"] == ("1", "pf")
    assert library.text("vimax") == "VDD * 1.1 + 0.5"
    assert library.text("time_unit") == "10ps"  # the last one counts
    assert library.number("nom_voltage") == 1.2 and library.number("area") is None
    table, states, empty, bus = library.groups
    assert table.numbers("values") == [0.1, -2e-3, 3, 4] and table.numbers("index_1") == []
    assert states.arguments == ("CK E", "S")
    assert states.text("table").replace(" ", "") == "LL:-:L,H-:-:N"
    assert (empty.name, empty.attributes, empty.groups) == ("", {}, ())
    assert (bus.name, bus.text("direction")) == ("A[7:0]", "input")
    assert library.all("bus", "empty") == [bus, empty]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"^the file ends within the library$"),
        ("library(a) { cell(b) {", r"^the file ends within the library$"),
        ("library(a) {\n  area 3;\n}", r"^line 2, column 8: unexpected '3;'$"),
        ("library(a) { } library(b) { }", r"^line 1, column 16: unexpected 'library\(b\)'$"),
        ("not a library", r"^line 1, column 5: unexpected 'a'$"),
    ],
)
def test_other_texts_are_rejected_with_their_place(text, message):
    with pytest.raises(BadInput, match=message):
        parse_liberty(text)


def test_what_is_not_a_number():
    library = parse_liberty('library(a) { area : big; cell(x) { values("1, two"); height : ""; } }')
    with pytest.raises(BadInput, match=r"^The library 'a' gives area as 'big', which is not a num"):
        library.number("area")
    with pytest.raises(BadInput, match=r"^The cell 'x' gives values as '1, two', which is not a"):
        library.groups[0].numbers("values")
    with pytest.raises(BadInput, match=r"^The cell 'x' has no value for height\.$"):
        library.groups[0].number("height")
