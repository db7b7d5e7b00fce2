from dataclasses import replace

import pytest

from benches import streams
from benches.in_amaranth import run, smallest_config
from implicore.hw.voxel_reader import VoxelReader


@pytest.mark.parametrize(
    ("rows", "outputs", "voxels_per_beat"),
    [(1, 2, 1), (3, 7, 1), (3, 9, 4), (2, 24, 8), (18, 5, 2)],
)
@pytest.mark.parametrize("pause", [0, 0.5, 0.9])
def test_words(rows, outputs, voxels_per_beat, pause):
    config = replace(
        smallest_config("w8a8o11"), rows=rows, outputs=outputs, voxels_per_beat=voxels_per_beat
    )
    reader = VoxelReader(rows, outputs, voxels_per_beat, config.formats.output_bits)
    run(streams.voxel_reader, reader, config, pause=pause)
