import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from implicore.errors import BadInput
from implicore.fixed import FREQUENCY
from implicore.grid import Frame, Grid
from implicore.model.checkpoint import Model
from implicore.model.network import FourierNetwork, reconstruct, render_float
from implicore.network_shape import NETWORKS, NetworkShape
from implicore.patch import POINT, Lattice
from implicore.program import Intensity

SHAPE = NetworkShape(frequencies=5, width=7, depth=4, skips=(3,))


def numpy_network(frequencies, weights, biases, skips, x):
    """The paper's Algorithm 1 in numpy."""
    angle = 2 * np.pi * (x @ frequencies.T)
    features = np.concatenate([np.cos(angle), np.sin(angle)], axis=1)
    hidden = features
    for number, (weight, bias) in enumerate(zip(weights, biases, strict=True), start=1):
        if number in skips:
            hidden = np.concatenate([features, hidden], axis=1)
        hidden = hidden @ weight.T + bias
        if number < len(weights):
            hidden = np.maximum(hidden, 0)
    return hidden


def random_model(shape=SHAPE, seed=3, patch=POINT) -> Model:
    network = FourierNetwork(shape, 2.0, seed)
    grid = Grid.from_array((4, 3, 5), np.diag([2.0, 1.0, 1.0, 1.0]))
    return Model(
        shape=shape,
        sigma=2.0,
        frequencies=FREQUENCY.quantize(network.frequencies.numpy()),
        weights=tuple(layer.weight.detach().numpy() for layer in network.layers),
        biases=tuple(layer.bias.detach().numpy() for layer in network.layers),
        frame=Frame.around([grid]),
        grids=(grid,),
        intensity=Intensity(-100.0, 300.0, "int16"),
        images=({"name": "a.nii", "sha256": "0" * 64},),
        patch=patch,
    )


@pytest.mark.parametrize(
    "shape",
    [
        SHAPE,
        NetworkShape(3, 8, 1),
        NetworkShape(4, 6, 3, (2, 3)),
        NetworkShape(4, 6, 3, (3,), outputs=12),
    ],
)
def test_the_network_is_algorithm_1(shape):
    network = FourierNetwork(shape, 2.0, seed=1)
    x = np.random.default_rng(0).uniform(-1, 1, (50, 3))
    expected = numpy_network(
        network.frequencies.numpy().astype(np.float64),
        [layer.weight.detach().numpy().astype(np.float64) for layer in network.layers],
        [layer.bias.detach().numpy().astype(np.float64) for layer in network.layers],
        shape.skips,
        x,
    )
    with torch.no_grad():
        output = network(torch.from_numpy(x).float()).numpy()
    np.testing.assert_allclose(output, expected, atol=2e-5)


def test_features_are_cosines_then_sines():
    network = FourierNetwork(NetworkShape(2, 4, 2), 1.0)
    network.frequencies.copy_(torch.tensor([[1.0, 0, 0], [0, 0.5, 0.25]]))
    features = network.features(torch.tensor([[0.25, 0.5, 1.0]]))[0]
    expected = [math.cos(math.pi / 2), math.cos(math.pi), math.sin(math.pi / 2), math.sin(math.pi)]
    assert features.tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_presets_have_the_parameters_of_their_shape(name):
    network = FourierNetwork(NETWORKS[name], 1.0)
    trained = sum(parameter.numel() for parameter in network.parameters())
    assert trained == NETWORKS[name].parameters


def test_frequencies_are_in_the_hardware_format_and_have_the_asked_spread():
    frequencies = FourierNetwork(NetworkShape(1000, 4, 2), 3.0).frequencies.double().numpy()
    integers = frequencies / FREQUENCY.step
    assert np.array_equal(integers, np.round(integers))
    assert frequencies.std() == pytest.approx(3.0, rel=0.05)
    assert FREQUENCY.holds(integers)
    wild = FourierNetwork(NetworkShape(1000, 4, 2), 30.0).frequencies.double().numpy()
    assert FREQUENCY.holds(wild / FREQUENCY.step)
    assert np.abs(wild).max() == 32


def test_the_seed_decides_the_network():
    def numbers(seed):
        network = FourierNetwork(SHAPE, 2.0, seed)
        tensors = (network.frequencies, *network.parameters())
        return np.concatenate([tensor.detach().numpy().ravel() for tensor in tensors])

    assert np.array_equal(numbers(1), numbers(1))
    assert not np.array_equal(numbers(1), numbers(2))


@pytest.mark.parametrize("name", ["demo", "patch"])
def test_a_new_network_carries_signal_and_gradient_through_all_layers(name):
    network = FourierNetwork(NETWORKS[name], 1.5)
    x = torch.rand(500, 3) * 2 - 1
    output = network(x)
    assert output.shape == (500, NETWORKS[name].outputs)
    assert 0.1 < float(output.detach().std()) < 10
    output.square().mean().backward()
    gradients = [float(layer.weight.grad.norm()) for layer in network.layers]
    assert max(gradients) < 100 * min(gradients)


@pytest.mark.parametrize("patch", [POINT, (3, 2, 2)])
def test_render_float_is_the_network_in_any_batch(patch):
    shape = replace(SHAPE, outputs=math.prod(patch))
    model = random_model(shape, patch=patch)
    points = np.random.default_rng(0).uniform(-1, 1, (101, 3))
    expected = numpy_network(
        model.frequencies * FREQUENCY.step, model.weights, model.biases, SHAPE.skips, points
    )
    for batch in (7, 101, 8192):
        output = render_float(model, points, batch)
        assert output.dtype == np.float32
        np.testing.assert_allclose(output, expected.ravel(), atol=2e-5)


def test_render_float_keeps_to_one_thread_and_leaves_the_setting(monkeypatch):
    seen = []

    def features(self, x, _features=FourierNetwork.features):
        seen.append(torch.get_num_threads())
        return _features(self, x)

    monkeypatch.setattr(FourierNetwork, "features", features)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        render_float(random_model(), np.zeros((1, 3)))
        assert seen == [1]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_reconstruct_samples_a_grid_in_the_unit_of_the_image():
    model = random_model()
    grid = Grid.from_array((3, 4, 2), [[0, 1, 0, 1], [0.5, 0, 0, 0], [0, 0, 2, 1], [0, 0, 0, 1]])
    image = reconstruct(model, grid)
    assert image.shape == grid.shape and image.dtype == np.float32
    for index in np.ndindex(grid.shape):
        t = render_float(model, model.frame.coordinates(grid.world([index])))[0]
        assert image[index] == pytest.approx(-100 + 400 * t, abs=1e-2)


def test_reconstruct_joins_patches_at_the_own_grid():
    patch = (2, 3, 2)  # the grid's shape (4, 3, 5) is no multiple of it
    model = random_model(replace(SHAPE, outputs=12), patch=patch)
    grid = model.grids[0]
    image = reconstruct(model, grid)
    assert image.shape == grid.shape and image.dtype == np.float32
    centres = Lattice(grid, patch).grid
    for i, j, k in np.ndindex(grid.shape):
        place, within = np.divmod((i, j, k), patch)
        t = render_float(model, model.frame.coordinates(centres.world([place])))
        voxel = t[within[0] + 2 * within[1] + 6 * within[2]]
        assert image[i, j, k] == pytest.approx(-100 + 400 * voxel, abs=1e-2)
    with pytest.raises(
        BadInput,
        match=r"^A model of patches of 2x3x2 voxels can be reconstructed at its image's own grid "
        r"only: compile it, and render the program at other grids\.$",
    ):
        reconstruct(model, grid.scaled(2))
