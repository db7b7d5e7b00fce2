from itertools import product

import pytest

from implicore.errors import BadInput
from implicore.synth.liberty.conditions import parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("!A", lambda a, b, c: not a),
        ("A'", lambda a, b, c: not a),
        ("A B", lambda a, b, c: a and b),
        ("A*!B", lambda a, b, c: a and not b),
        ("A & B | C", lambda a, b, c: (a and b) or c),
        ("A + B C", lambda a, b, c: a or (b and c)),
        ("A ^ B C", lambda a, b, c: (a != b) and c),
        ("!(A*B)'", lambda a, b, c: a and b),
        ("(!((A B)+C))", lambda a, b, c: not ((a and b) or c)),
        ("(((A B)+(B C))+(C A))", lambda a, b, c: a + b + c >= 2),
        ("(!A * B) + (C ^ 1)", lambda a, b, c: (not a and b) or not c),
        ("A|B", lambda a, b, c: a or b),
        ("A B'|!C", lambda a, b, c: (a and not b) or not c),
        ("!A''", lambda a, b, c: not a),
        ("!!A B + 0", lambda a, b, c: a and b),
        ("(A+B)' C", lambda a, b, c: not (a or b) and c),
        ("A^B^C", lambda a, b, c: (a + b + c) % 2),
    ],
)
def test_functions(text, value):
    function = parse(text)
    for levels in product((False, True), repeat=3):
        assert function.at(dict(zip("ABC", levels, strict=True))) == bool(value(*levels))


def test_pins_come_in_the_order_of_their_first_appearance():
    assert parse("S*B + !S*A").pins == ("S", "B", "A")
    assert parse("1").pins == () and parse("1").at({}) and not parse("0").at({})


def test_cpp_computes_the_same():
    function = parse("(!S*A0)+(S^A1)")
    assert function.cpp() == "((~x(0) & x(1)) | (x(0) ^ x(2)))"


def test_probability():
    assert parse("A*!B").probability({"A": 0.5, "B": 0.25}) == 0.375
    assert parse("A^B").probability({"A": 0.5, "B": 0.1}) == pytest.approx(0.5)
    assert parse("1").probability({}) == 1.0


@pytest.mark.parametrize(
    "text", ["", "A +", "(A", "A)", "* B", "A ~ B", "()", "'A", "A ! * B", "10"]
)
def test_reject_other_texts(text):
    with pytest.raises(BadInput, match=r"^(['\"]).*\1 is not a Boolean function of a Lib"):
        parse(text)


def test_a_bit_of_a_bus_is_a_pin():
    assert parse("A[3] & !B").pins == ("A[3]", "B")
