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

from implicore.errors import BadInput
from implicore.fixed import FREQUENCY
from implicore.grid import Grid
from implicore.network_shape import NetworkShape
from implicore.patch import POINT, Lattice, patch_name

from .checkpoint import Model

INITIAL_MIX = 0.5
"""Ratio of random weights to the identity in the initial weights of a hidden layer."""


class FourierNetwork(nn.Module):
    """Map network coordinates to intensities: one, or those of the voxels of a patch.

    Parameters
    ----------
    shape : NetworkShape
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
        """Compute intensities from Fourier features: (n, 2 L) -> (n, outputs)."""
        hidden = features[:, :0]  # (n, 0), from the second layer on (n, width)
        for layer, size in zip(self.layers, self.shape.layers, strict=True):
            if size.features:
                hidden = torch.cat([features, hidden], dim=-1) if size.hidden else features
            if layer is not self.layers[-1]:
                hidden = layer(hidden).relu_()
        # In mixed precision the last layer stays in float32, since its output is the image.
        return self.layers[-1](hidden.to(self.layers[-1].weight.dtype))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute intensities at network coordinates: (n, 3) -> (n, outputs)."""
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
            if layer is self.layers[-1]:
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
    float32 array, shape (n * outputs,)
        The network's outputs t, point after point, neither clipped nor rounded.
    """
    with one_thread():
        network = FourierNetwork.from_model(model)
        points = torch.as_tensor(np.asarray(points)).float()
        return torch.cat([network(part).flatten() for part in points.split(batch)]).numpy()


def reconstruct(model: Model, grid: Grid) -> np.ndarray:
    """Compute a model's float32 intensities on a grid, in the image's unit.

    Raises
    ------
    BadInput
        The model decodes patches, and the grid is not its image's.
    """
    if model.patch != POINT and grid != model.grids[0]:
        raise BadInput(
            f"A model of patches of {patch_name(model.patch)} voxels can be reconstructed at its "
            "image's own grid only: compile it, and render the program at other grids."
        )
    lattice = Lattice(grid, model.patch)
    affine = model.frame.affine(lattice.grid)
    low, high = model.intensity.low, model.intensity.high
    parts = []
    for k in range(lattice.shape[2]):  # a slab at a time bounds the memory
        index = np.indices((*lattice.shape[:2], 1)).reshape(3, -1, order="F").T + (0, 0, k)
        points = index @ affine[:, :3].T + affine[:, 3]
        parts.append(low + render_float(model, points) * (high - low))
    return np.ascontiguousarray(lattice.join(np.concatenate(parts)))


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit torch to one thread: for layers this small, more threads only contend."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
