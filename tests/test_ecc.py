import random
from itertools import combinations

import pytest

from implicore.accelerator_config import MAX_WORD_BITS
from implicore.ecc import Code

WIDTHS = (1, 2, 3, 4, 5, 16, 22, 32, 53, 57, 64, 120)


@pytest.mark.parametrize("bits", WIDTHS)
def test_single_errors_are_corrected_and_double_errors_detected(bits):
    code, rng = Code("secded", bits), random.Random(bits)
    word = rng.getrandbits(bits)
    codeword = code.encode(word)
    assert code.decode(codeword) == (word, False, False)
    for bit in range(code.width):
        assert code.decode(codeword ^ 1 << bit) == (word, True, False)
    for first, second in combinations(range(code.width), 2):
        assert code.decode(codeword ^ 1 << first ^ 1 << second)[1:] == (False, True)


@pytest.mark.parametrize("bits", WIDTHS)
def test_parity_detects_single_errors(bits):
    code, word = Code("parity", bits), random.Random(bits).getrandbits(bits)
    assert code.width == bits + 1
    assert code.decode(code.encode(word)) == (word, False, False)
    for bit in range(code.width):
        assert code.decode(code.encode(word) ^ 1 << bit)[1:] == (False, True)


@pytest.mark.parametrize(
    ("bits", "check_bits"), [(1, 3), (4, 4), (11, 5), (16, 6), (26, 6), (57, 7), (58, 8), (64, 8)]
)
def test_number_of_check_bits_is_the_smallest(bits, check_bits):
    """A code that detects double errors needs 2^(r - 1) columns or more."""
    assert Code("secded", bits).check_bits == check_bits


@pytest.mark.parametrize("bits", [16, 53, 64, MAX_WORD_BITS])
def test_matrix_is_that_of_a_hsiao_code(bits):
    code = Code("secded", bits)
    ones = [column.bit_count() for column in code.columns]
    assert len(set(code.columns)) == code.width and all(count % 2 for count in ones)
    assert (
        ones[:bits] == sorted(ones[:bits])
        and ones[0] == 3
        and ones[bits:] == [1] * (code.check_bits)
    )
    weights = [row.bit_count() for row in code.rows]
    assert max(weights) - min(weights) <= 1


def test_matrix_of_8_bits_is_unchanged():
    """Memory contents of one version can be read by another."""
    assert Code("secded", 8).columns[:8] == (7, 25, 14, 19, 28, 11, 21, 22)


def test_no_protection_is_no_code():
    code = Code("none", 9)
    assert (code.width, code.encode(300), code.decode(300)) == (9, 300, (300, False, False))
