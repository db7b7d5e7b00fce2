from dataclasses import replace

import pytest

from benches import feed_forward
from benches.in_amaranth import run, smallest_config
from implicore.hw.voxel_bank import VoxelBank


@pytest.mark.parametrize("outputs", [2, 7, 64])
@pytest.mark.parametrize("voxels_per_beat", [1, 2, 4, 8])
def test_words(outputs, voxels_per_beat):
    config = replace(smallest_config("w8a8o11"), outputs=outputs, voxels_per_beat=voxels_per_beat)
    bank = VoxelBank(outputs, voxels_per_beat, config.formats.output_bits)
    run(feed_forward.voxel_bank, bank, config)
