import pytest

from benches import streams
from benches.in_amaranth import run
from implicore.accelerator_config import AcceleratorConfig
from implicore.formats import Formats
from implicore.hw.voxels import VoxelBuffer
from implicore.network_shape import NetworkShape


@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize("pause", [0, 0.5, 0.9])
def test_tiles(rows, pause):
    config = AcceleratorConfig.sized(rows, 1, Formats(8, 8), [NetworkShape(1, 1, 1)])
    buffer = VoxelBuffer(rows, config.formats.output_bits)
    run(streams.voxel_buffer, buffer, config, pause=pause)
