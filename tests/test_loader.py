import pytest

from benches import streams
from benches.in_amaranth import run
from implicore.accelerator_config import AcceleratorConfig
from implicore.formats import Formats
from implicore.hw.loader import ProgramLoader
from implicore.network_shape import NetworkShape


@pytest.mark.parametrize("formats", ["w8a12", "w5a9m4t12"])
def test_good_and_damaged_programs(formats):
    shape = NetworkShape(4, 5, 3, (2,))
    config = AcceleratorConfig.sized(2, 3, Formats.parse(formats), [shape])
    run(streams.program_loader, ProgramLoader(config), config)
