"""The training step: its batches and its precisions."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from implicore.grid import Grid
from implicore.model.samples import Samples
from implicore.model.train import trainer
from implicore.model.train.trainer import Trainer
from implicore.model.volume import Volume
from implicore.network_shape import NetworkShape

SHAPE = NetworkShape(frequencies=4, width=8, depth=3)
POINT, PATCH = (1, 1, 1), (2, 1, 3)


def make_trainer(patch, bf16: bool = False, batch: int | None = None) -> Trainer:
    data = np.random.default_rng(0).integers(0, 255, (8, 6, 12), dtype=np.uint8)
    samples = Samples([Volume(data, Grid.from_array(data.shape, np.eye(4)), "a")], patch=patch)
    return Trainer(samples, replace(SHAPE, outputs=int(np.prod(patch))), 1.0, 0, bf16, batch=batch)


@pytest.mark.parametrize(("patch", "batch"), [(POINT, 40), (PATCH, 30)])
def test_points_and_patches_have_their_batches(monkeypatch, patch, batch):
    monkeypatch.setattr(trainer, "BATCH", 40)
    monkeypatch.setattr(trainer, "PATCH_BATCH", 30)
    assert make_trainer(patch).batches.size == batch
    assert make_trainer(patch, batch=20).batches.size == 20


def test_every_voxel_of_a_patch_is_seen():
    training = make_trainer(PATCH, batch=20)
    training.advance(1.0)
    training.advance(1.0)
    assert training.seen == 2 * 20 * 6


@pytest.mark.parametrize("bf16", [False, True])
def test_the_optimizer_has_the_precision_of_the_layers(bf16):
    layers = torch.bfloat16 if bf16 else torch.float32
    for shape in (POINT, PATCH):
        assert make_trainer(shape, bf16).optimizer.precision == layers


def test_the_loss_is_the_error_of_all_voxels_in_units_of_their_variance():
    training = make_trainer(PATCH, batch=96)  # the whole image
    with torch.no_grad():
        output = training.network(training.samples.coordinates(torch.arange(96)))
    normalized = (training.samples.targets - training.mean) / training.deviation
    expected = float((output - normalized).square().mean())
    assert float(training.advance(1.0)) == pytest.approx(expected, rel=1e-5)
