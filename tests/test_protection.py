import pytest

from benches import feed_forward
from benches.in_amaranth import run, smallest_config
from implicore.ecc import Code
from implicore.hw.protection import WordDecoder


@pytest.mark.parametrize(
    ("protection", "bits"), [("parity", 1), ("parity", 53), ("secded", 1), ("secded", 64)]
)
def test_decoder(protection, bits):
    code = Code(protection, bits)
    run(feed_forward.word_decoder, WordDecoder(code), smallest_config("w8a8"), code)
