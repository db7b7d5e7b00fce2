import pytest

from benches import streams
from benches.in_amaranth import run
from implicore.accelerator_config import AcceleratorConfig
from implicore.formats import Formats
from implicore.hw.loader import ProgramLoader
from implicore.network_shape import NetworkShape


@pytest.mark.parametrize(("formats", "weight_word_bits"), [("w8a12", 8), ("w5a9m4t12", 10)])
def test_good_and_damaged_programs(formats, weight_word_bits):
    shape = NetworkShape(4, 5, 3, (2,))
    formats = Formats.parse(formats)
    config = AcceleratorConfig.sized(2, 3, formats, [shape], weight_word_bits=weight_word_bits)
    assert config.weight_banks > 1
    run(streams.program_loader, ProgramLoader(config), config)
