"""The sine table at every phase of every address and output width."""

import numpy as np
import pytest

from implicore.sincos import BIPARTITE_FROM, SineTable


@pytest.mark.parametrize("output_bits", range(4, 17))
@pytest.mark.parametrize("address_bits", range(6, 15))
def test_every_phase(address_bits, output_bits):
    table = SineTable(address_bits, output_bits)
    turns = (np.arange(1 << address_bits) + 0.5) / (1 << address_bits)
    unit = 2.0 ** (1 - output_bits)
    bound = unit / 2 if address_bits < BIPARTITE_FROM else unit
    for codes, exact in ((table.sines, np.sin), (table.cosines, np.cos)):
        assert codes.min() >= 0 and codes.max() < 1 << output_bits
        values = (2 * codes + 1) / (1 << output_bits) - 1
        assert np.abs(values - exact(2 * np.pi * turns)).max() <= bound * (1 + 1e-9)


@pytest.mark.parametrize("address_bits", [6, 11, 12, 14])
def test_symmetry(address_bits):
    """Half a turn inverts every bit; the wave is its own mirror image."""
    table = SineTable(address_bits, 12)
    half = 1 << (address_bits - 1)
    assert (table.sines[half:] == 4095 - table.sines[:half]).all()
    assert (table.sines[:half] == table.sines[:half][::-1]).all()
    assert (table.cosines == table.sines[(np.arange(2 * half) + half // 2) % (2 * half)]).all()


@pytest.mark.parametrize("output_bits", [4, 8, 12, 16])
@pytest.mark.parametrize("address_bits", [12, 13, 14])
def test_split_tables_are_smaller_than_a_quarter_wave(address_bits, output_bits):
    table = SineTable(address_bits, output_bits)
    assert sum(table.split) == address_bits - 2
    assert table.storage_bits < (output_bits - 1) << (address_bits - 2)
    assert table.slope.max() < 1 << table.slope_bits
    assert (table.base >= 0).all() and table.base.max() < 1 << (output_bits + 1)


def test_storage_of_the_preset_table():
    assert SineTable(10, 12).storage_bits == 256 * 11


def test_every_value_is_far_from_a_tie():
    """So that any library's sine makes the same table."""
    for address_bits in range(6, BIPARTITE_FROM):
        quarter = 1 << (address_bits - 2)
        sine = np.sin(np.pi / 2 * (np.arange(quarter) + 0.5) / quarter) * 2.0**15
        for bits in range(13):
            scaled = sine / 2.0**bits
            assert np.abs(scaled - np.round(scaled)).min() > 1e-7


def test_wrong_widths_are_rejected():
    with pytest.raises(ValueError, match=r"^SineTable address_bits must be .* 6 to 14, not 5\.$"):
        SineTable(5, 12)
    with pytest.raises(ValueError, match=r"^SineTable output_bits must be .* 4 to 16, not 17\.$"):
        SineTable(10, 17)
    with pytest.raises(TypeError, match=r"^SineTable address_bits must be an integer, not 8\.0\.$"):
        SineTable(8.0, 12)
