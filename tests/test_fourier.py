from dataclasses import replace

import pytest

from benches import streams
from benches.in_amaranth import run
from implicore.accelerator_config import AcceleratorConfig
from implicore.dataflow import mapper_latency
from implicore.formats import Formats
from implicore.hw.fourier import FourierLane, FourierMapper
from implicore.network_shape import NetworkShape


@pytest.mark.parametrize("protection", ["none", "parity"])
@pytest.mark.parametrize(("pause", "release"), [(0, 1), (0.5, 0.1)])
@pytest.mark.parametrize("formats", ["w8a8", "w8a12t12", "w8a16t14"])
@pytest.mark.parametrize(
    ("rows", "lanes", "frequencies"), [(1, 1, 1), (4, 1, 3), (4, 4, 1), (5, 2, 2), (3, 2, 7)]
)
def test_features_of_tiles(rows, lanes, frequencies, formats, pause, release, protection):
    formats = Formats.parse(formats)
    shape = NetworkShape(frequencies + 2, 1, 1)  # a program may have fewer frequencies
    config = AcceleratorConfig.sized(rows, 1, formats, [shape], protection=protection)
    config = replace(config, lanes=lanes)
    mapper = FourierMapper(rows, lanes, config.frequencies, formats, protection=protection)
    run(streams.fourier_mapper, mapper, config, pause=pause, release=release)


def test_latency_of_a_lane():
    for name in ("w8a8", "w8a12t12"):
        formats = Formats.parse(name)
        # The mapper requests a coefficient one cycle before the lane receives it; the sine follows
        # the cosine by one cycle and is readable one cycle later.
        assert mapper_latency(formats) == 1 + FourierLane(formats).latency + 2


def test_invalid_arguments():
    with pytest.raises(ValueError, match=r"^Mapper lanes must be an integer from 1 to 3, not 4\.$"):
        FourierMapper(3, 4, 1, Formats(8, 8))
