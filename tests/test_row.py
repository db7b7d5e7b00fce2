from dataclasses import replace

import pytest

from benches import feed_forward
from benches.in_amaranth import run
from implicore.accelerator_config import AcceleratorConfig
from implicore.formats import Formats
from implicore.hw.row import ColumnUnit, RowUnit
from implicore.network_shape import NetworkShape

SHAPE = NetworkShape(4, 5, 3, (2,))


@pytest.mark.parametrize(("formats", "gate_zeros"), [("w8a12", False), ("w5a9m4t12", True)])
def test_row_unit(formats, gate_zeros):
    formats = Formats.parse(formats)
    config = AcceleratorConfig.sized(3, 4, formats, [SHAPE], gate_zeros=gate_zeros)
    unit = RowUnit(formats, 2 * config.frequencies, config.width, gate_zeros=gate_zeros)
    run(feed_forward.row_unit, unit, config)


@pytest.mark.parametrize(("outputs", "voxels_per_beat"), [(2, 1), (7, 4), (24, 8)])
def test_row_unit_with_a_voxel_bank(outputs, voxels_per_beat):
    config = AcceleratorConfig.sized(3, 4, Formats.parse("w8a12"), [SHAPE])
    config = replace(config, outputs=outputs, voxels_per_beat=voxels_per_beat)
    unit = RowUnit(
        config.formats,
        2 * config.frequencies,
        config.width,
        outputs=outputs,
        voxels_per_beat=voxels_per_beat,
    )
    run(feed_forward.row_unit, unit, config)


@pytest.mark.parametrize("protection", ["none", "secded"])
@pytest.mark.parametrize("weight_word_bits", [8, 24])
def test_column_unit(weight_word_bits, protection):
    formats = Formats(8, 8)
    config = AcceleratorConfig.sized(
        1, 4, formats, [SHAPE], weight_word_bits=weight_word_bits, protection=protection
    )
    unit = ColumnUnit(config.weight_depth, config.columns_per_bank, formats, protection=protection)
    run(feed_forward.column_unit, unit, config)
