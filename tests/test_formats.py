"""Number formats and their names."""

import pytest

from implicore.formats import Formats


def test_format_defaults_follow_from_the_activations():
    formats = Formats(8, 12)
    assert (formats.accumulator_bits, formats.table_address_bits, formats.output_bits) == (
        28,
        10,
        16,
    )
    assert Formats(16, 16).table_address_bits == 12
    assert [Formats(8, bits).output_bits for bits in (4, 8, 16)] == [8, 12, 16]
    assert (formats.requantizer_bits, formats.offset_bits) == (28, 24)


@pytest.mark.parametrize("name", ["w8a12", "w8a8", "w4a4m0", "w16a16c44m15t14o8", "w8a12t6"])
def test_format_names_read_back(name):
    formats = Formats.parse(name)
    assert Formats.parse(str(formats)) == formats
    assert str(Formats.parse("w8a12m0t10")) == "w8a12"


@pytest.mark.parametrize("text", ["", "w8", "a12", "w8a12w8", "w8a12x3", "8x12", "w8 a12", "W8A12"])
def test_unreadable_format_names_are_rejected(text):
    with pytest.raises(ValueError, match=rf"^Formats must have the form .*, not '{text}'\.$"):
        Formats.parse(text)


@pytest.mark.parametrize(
    "text", ["w3a12", "w17a8", "w8a3", "w8a8t15", "w8a8m16", "w8a8c45", "w8a8o7"]
)
def test_impossible_formats_are_rejected(text):
    with pytest.raises(ValueError, match=r"^Formats \w+ must be .* from \d+ to \d+, not \d+\.$"):
        Formats.parse(text)
