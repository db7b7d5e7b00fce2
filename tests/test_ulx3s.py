import re

import pytest

from implicore.accelerator_config import ACCELERATORS
from implicore.hw.ulx3s import PINS, Pll, Ulx3s, constraints, convert, divisor_of


@pytest.mark.parametrize("mhz", [10, 25, 50, 62.5, 90, 99.5, 100, 105, 110, 125, 200])
def test_pll(mhz):
    pll = Pll.near(mhz)
    assert pll.mhz == pytest.approx(mhz, rel=0.01)
    assert 25 / pll.input >= 3.125
    assert 400 <= pll.mhz * pll.output <= 800


def test_pll_of_100_mhz_matches_ecppll():
    assert Pll.near(100) == Pll(input=1, feedback=4, output=6)


@pytest.mark.parametrize("mhz", [0.1, 48, 1500])
def test_impossible_clock(mhz):
    with pytest.raises(
        ValueError, match=rf"^The board's PLL cannot generate {mhz:g} MHz; the closest clock"
    ):
        Pll.near(mhz)


def test_divisor():
    assert divisor_of(100, 3_000_000) == 33
    assert divisor_of(100, 115_200) == 868
    with pytest.raises(
        ValueError, match=r"^A clock of 20 MHz cannot be divided to 3000000 baud within 2%\.$"
    ):
        divisor_of(20, 3_000_000)


def test_every_port_has_a_pin_and_every_pin_a_port():
    text = convert(Ulx3s(ACCELERATORS["tiny"], Pll.near(100)), "ulx3s")
    (top,) = re.findall(r"^module ulx3s\(.*?^endmodule", text, re.M | re.S)
    ports = {}
    for width, name in re.findall(r"^  (?:in|out)put (?:\[(\d+):0\] )?(\w+);", top, re.M):
        ports[name] = int(width or 0) + 1
    wires = {n if w == 1 else f"{n}[{i}]" for n, w in ports.items() for i in range(w)}
    assert wires == set(PINS)
    assert len(set(PINS.values())) == len(PINS)
    for port, site in PINS.items():
        assert f'LOCATE COMP "{port}" SITE "{site}";' in constraints()
        assert f'IOBUF PORT "{port}" ' in constraints()


def test_the_board_instantiates_the_accelerator_and_the_pll():
    text = convert(Ulx3s(ACCELERATORS["tiny"], Pll.near(100)), "ulx3s")
    assert len(re.findall(r"^  implicore accelerator \(", text, re.M)) == 1
    assert ".CLKOP_DIV(32'd6)" in text
    assert 'FREQUENCY_PIN_CLKOP = "100"' in text
