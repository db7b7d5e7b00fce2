from dataclasses import replace

import pytest

import implicore.cycles
from implicore.accelerator_config import ACCELERATORS, AcceleratorConfig
from implicore.cycles import predict
from implicore.errors import BadInput
from implicore.formats import Formats
from implicore.network_shape import NETWORKS, NetworkShape

SLICE = 64 * 64


@pytest.mark.parametrize(
    ("accelerator", "network", "target"),
    [
        ("paper", "paper", 0.995),
        ("medium", "demo", 0.99),
        ("medium", "quality", 0.99),
        ("small", "demo", 0.99),
        ("small", "quality", 0.99),
        ("tiny", "demo", 0.99),
    ],
)
def test_utilization_of_a_slice(accelerator, network, target):
    prediction = predict(NETWORKS[network], ACCELERATORS[accelerator], SLICE)
    assert prediction.utilization >= target


@pytest.mark.parametrize("rows", [1, 4, 7])
@pytest.mark.parametrize("skips", [(), (2,), (2, 4)])
def test_skipping_repetitions_does_not_change_the_prediction(rows, skips, monkeypatch):
    shape = NetworkShape(frequencies=5, width=6, depth=4, skips=skips)
    config = AcceleratorConfig.sized(rows, 4, Formats(8, 8), [shape])
    quick = [predict(shape, config, voxels) for voxels in (1, rows, 200, 201, 1000)]
    monkeypatch.setattr(implicore.cycles._Schedule, "state", lambda self: (self.now,))
    assert quick == [predict(shape, config, voxels) for voxels in (1, rows, 200, 201, 1000)]


@pytest.mark.parametrize("per_beat", [1, 4])
@pytest.mark.parametrize("outputs", [3, 64])
def test_repetitions_of_patches_are_skipped_alike(outputs, per_beat, monkeypatch):
    """With 64 outputs and single voxels a beat, the voxel stream bounds the array."""
    shape = NetworkShape(frequencies=5, width=6, depth=2, outputs=outputs)
    config = AcceleratorConfig.sized(4, 4, Formats(8, 8), [shape])
    config = replace(config, voxels_per_beat=per_beat)
    jobs = [outputs * points for points in (1, 4, 200, 201, 1000)]
    quick = [predict(shape, config, voxels) for voxels in jobs]
    monkeypatch.setattr(implicore.cycles._Schedule, "state", lambda self: (self.now,))
    assert quick == [predict(shape, config, voxels) for voxels in jobs]


def test_a_whole_volume_is_predicted_at_once():
    shape, config = NETWORKS["demo"], ACCELERATORS["small"]
    volume, half = predict(shape, config, 512**3), predict(shape, config, 256 * 512 * 512)
    tiles = 256 * 512 * 512 // config.rows
    assert volume.cycles - half.cycles == tiles * 7680  # no bubbles
    assert volume.memories["weights"].reads == 2 * half.memories["weights"].reads


def test_jobs_that_cannot_run_are_rejected():
    with pytest.raises(ValueError, match=r"^Job voxels must be at least 1, not 0\.$"):
        predict(NETWORKS["demo"], ACCELERATORS["tiny"], 0)
    patches = NetworkShape(frequencies=2, width=3, depth=2, outputs=6)
    config = AcceleratorConfig.sized(2, 2, Formats(8, 8), [patches])
    with pytest.raises(ValueError, match="multiple of the network's 6 outputs, not 9"):
        predict(patches, config, 9)
    with pytest.raises(BadInput, match=r"^The program does not fit the accelerator: "):
        predict(NETWORKS["paper"], ACCELERATORS["tiny"], 1)
