from dataclasses import replace

import pytest

from benches import streams
from benches.in_amaranth import run, smallest_config
from implicore.hw.voxel_packer import VoxelPacker


@pytest.mark.parametrize("voxels_per_beat", [2, 4, 8])
@pytest.mark.parametrize("pause", [0, 0.5, 0.9])
def test_beats(voxels_per_beat, pause):
    config = replace(smallest_config("w8a8o11"), voxels_per_beat=voxels_per_beat)
    packer = VoxelPacker(voxels_per_beat, config.formats.output_bits)
    run(streams.voxel_packer, packer, config, pause=pause)
