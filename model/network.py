"""The implicit neural representation: Fourier features and fully connected layers.

The network is from Rao et al., "An Energy-Efficient Accelerator for Medical Image Reconstruction
From Implicit Neural Representation", IEEE TCAS-I 2023, Algorithm 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from implicore.fixed import FREQUENCY
from implicore.grid import Grid
from implicore.network_shape import NetworkShape

from .checkpoint import Model

INITIAL_MIX = 0.5
"""Ratio of random weights to the identity in the initial weights of a hidden layer."""


class FourierNetwork(nn.Module):
    """Map network coordinates to one intensity.

    Parameters
    ----------
    shape : NetworkShape
        Depth, width, frequencies and skips.
    sigma : float
        Standard deviation of the frequencies in turns per unit of coordinate.
    seed : int
        Seed of B and the initial weights.
    """

    def __init__(self, shape: NetworkShape, sigma: float, seed: int = 0):
        super().__init__()
        self.shape, self.sigma = shape, float(sigma)
        rng = np.random.default_rng(seed)
        # B is drawn once and rounded to the integers that the hardware stores.
        drawn = FREQUENCY.quantize(rng.normal(0.0, self.sigma, (shape.frequencies, 3)))
        self.register_buffer("frequencies", torch.tensor(drawn * FREQUENCY.step).float())  # (L, 3)
        self.layers = nn.ModuleList(nn.Linear(s.inputs, s.outputs) for s in shape.layers)
        self._initialize(rng)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Compute Fourier features of coordinates: (n, 3) -> (n, 2 L), L cosines, then L sines."""
        turns = x @ self.frequencies.T  # (n, L)
        angle = 2 * math.pi * (turns - turns.round())  # a whole turn changes nothing
        return torch.cat([angle.cos(), angle.sin()], dim=-1)

    def decode(self, features: torch.Tensor) -> torch.Tensor:
        """Compute intensities from Fourier features: (n, 2 L) -> (n,)."""
        hidden = features[:, :0]  # (n, 0), from the second layer on (n, width)
        for layer, size in zip(self.layers, self.shape.layers, strict=True):
            if size.features:
                hidden = torch.cat([features, hidden], dim=-1) if size.hidden else features
            if layer is not self.layers[-1]:
                hidden = layer(hidden).relu_()
        # In mixed precision the last layer stays in float32, since its output is the image.
        return self.layers[-1](hidden.to(self.layers[-1].weight.dtype)).squeeze(-1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute intensities at network coordinates: (n, 3) -> (n,)."""
        return self.decode(self.features(x))

    @classmethod
    @torch.no_grad()
    def from_model(cls, model: Model) -> FourierNetwork:
        """Rebuild the network of a model file."""
        network = cls(model.shape, model.sigma)
        network.frequencies.copy_(torch.tensor(model.frequencies * FREQUENCY.step))
        for layer, weight, bias in zip(network.layers, model.weights, model.biases, strict=True):
            layer.weight.copy_(torch.tensor(weight))
            layer.bias.copy_(torch.tensor(bias))
        return network

    @torch.no_grad()
    def _initialize(self, rng) -> None:
        # Weights of hidden activations start close to the identity: fifteen plain layers then pass
        # signal and gradient as well as a few layers, and train as fast (+2 dB in 15 s over torch's
        # default at width 64).
        for layer, size in zip(self.layers, self.shape.layers, strict=True):
            weight = rng.normal(0.0, math.sqrt(2 / size.inputs), (size.outputs, size.inputs))
            if size.outputs == 1:
                weight /= 2
            elif size.hidden:
                weight *= INITIAL_MIX
                weight[:, size.features :] += np.eye(size.outputs)
                weight /= math.sqrt(1 + INITIAL_MIX**2)
            bound = 0.1 / math.sqrt(size.inputs)
            bias = rng.uniform(-bound, bound, size.outputs)
            layer.weight.copy_(torch.from_numpy(weight))
            layer.bias.copy_(torch.from_numpy(bias))


@torch.no_grad()
def render_float(model: Model, points, batch: int = 8192) -> np.ndarray:
    """Evaluate a model in float32 on one thread: the reference for PSNR and for speed.

    Parameters
    ----------
    model : Model
    points : array, shape (n, 3)
        Network coordinates (``model.frame.coordinates`` of world mm).
    batch : int
        Points per evaluation, which bounds the memory.

    Returns
    -------
    float32 array, shape (n,)
        The network's output t, neither clipped nor rounded.
    """
    with one_thread():
        network = FourierNetwork.from_model(model)
        points = torch.as_tensor(np.asarray(points)).float()
        return torch.cat([network(part) for part in points.split(batch)]).numpy()


def reconstruct(model: Model, grid: Grid) -> np.ndarray:
    """Compute a model's float32 intensities on a grid, in the image's unit."""
    affine = model.frame.affine(grid)
    low, high = model.intensity.low, model.intensity.high
    image = np.empty(grid.shape, np.float32)
    for i in range(grid.shape[0]):  # a slab at a time bounds the memory
        index = np.stack(np.meshgrid(i, *map(np.arange, grid.shape[1:]), indexing="ij"), axis=-1)
        points = index.reshape(-1, 3) @ affine[:, :3].T + affine[:, 3]
        image[i] = (low + render_float(model, points) * (high - low)).reshape(grid.shape[1:])
    return image


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit torch to one thread: for layers this small, more threads only contend."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
