"""The training step: its batches and its precisions."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from implicore.grid import Grid
from implicore.model.samples import Samples
from implicore.model.train import recipe as recipes
from implicore.model.train.recipe import Recipe, linear
from implicore.model.train.trainer import Trainer
from implicore.model.volume import Volume
from implicore.network_shape import NetworkShape

SHAPE = NetworkShape(frequencies=4, width=8, depth=3)
POINT, PATCH = (1, 1, 1), (2, 1, 3)


def make_trainer(patch, bf16: bool = False, batch: int | None = None) -> Trainer:
    data = np.random.default_rng(0).integers(0, 255, (8, 6, 12), dtype=np.uint8)
    samples = Samples([Volume(data, Grid.from_array(data.shape, np.eye(4)), "a")], patch=patch)
    return Trainer(samples, replace(SHAPE, outputs=int(np.prod(patch))), 1.0, 0, bf16, batch=batch)


@pytest.mark.parametrize("patch", [POINT, PATCH])
def test_a_network_is_trained_by_its_recipe(monkeypatch, patch):
    recipe = Recipe(30, 0.6, patch == PATCH, True, linear, probe_bias=1.0)
    monkeypatch.setattr(recipes, "POINTS" if patch == POINT else "PATCHES", recipe)
    training = make_trainer(patch)
    assert training.batches.size == 30
    assert training.optimizer.muon_rate == pytest.approx(0.6 if patch == POINT else 0.6 / 3)
    assert len(training.optimizer.others) == 4  # the first layer's weights and all biases
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


def squared_errors(training) -> torch.Tensor:
    """Return the mean squared error of each sample, in units of the variance."""
    with torch.no_grad():
        output = training.network(training.samples.coordinates(torch.arange(len(training.samples))))
    normalized = (training.samples.targets - training.mean) / training.deviation
    return (output - normalized).square().mean(dim=1)


def test_the_loss_is_the_error_of_all_voxels_in_units_of_their_variance():
    training = make_trainer(POINT, batch=8 * 6 * 12)  # the whole image
    expected = float(squared_errors(training).mean())
    assert float(training.advance(1.0)) == pytest.approx(expected, rel=1e-5)


def test_a_patch_counts_less_the_more_often_it_is_drawn():
    training = make_trainer(PATCH, batch=96)
    drawn = training.batches[0]
    draws = torch.from_numpy(training.samples.draws())
    expected = float((squared_errors(training) / draws)[drawn].mean())
    assert float(training.advance(1.0)) == pytest.approx(expected, rel=1e-5)
