"""The training step: a network, its optimizer, and their state."""

from __future__ import annotations

import copy

import numpy as np
import torch

from implicore.network_shape import NetworkShape

from ..network import FourierNetwork
from ..samples import Batches, Samples
from .optimizer import Optimizer
from .recipe import Recipe

FEATURE_CACHE = 512 << 20
"""Maximum size in bytes of Fourier features that are computed once and kept."""


class Trainer:
    """A network, its optimizer and the number of steps done.

    Parameters
    ----------
    samples : Samples
    shape : NetworkShape
    sigma : float
        Standard deviation of the frequencies.
    seed : int
    bf16 : bool
        Whether all layers except the last one compute in bfloat16.
    device : torch.device
    batch : int, optional
        Points per step; by default those of the recipe.
    cache : bool
        Whether to keep the Fourier features of all samples, if they fit in ``FEATURE_CACHE``.
    """

    def __init__(
        self,
        samples: Samples,
        shape: NetworkShape,
        sigma: float,
        seed: int,
        bf16: bool,
        device: torch.device | str = "cpu",
        batch: int | None = None,
        cache: bool = True,
    ):
        self.samples = samples
        self.recipe = Recipe.of(shape)
        self.network = FourierNetwork(shape, sigma, seed).to(device)
        self.dtype = torch.bfloat16 if bf16 else torch.float32
        # On a processor without bfloat16, float32 makes the optimizer 20 times as fast.
        self.optimizer = Optimizer(self.network, self.dtype, self.recipe)
        # The layers compute with a narrow copy of the weights. The weights themselves stay in
        # float32, because updates are small.
        self.working = copy.deepcopy(self.network)
        if bf16:
            self.working.layers[:-1].bfloat16()
        self.pairs = list(zip(self.network.parameters(), self.working.parameters(), strict=True))
        batch = self.recipe.batch if batch is None else batch
        draws = samples.draws()
        self.batches = Batches(len(samples), max(1, batch // samples.points), seed, draws)
        # A sample that is drawn often counts less each time, so the loss keeps its mean.
        self.importance = torch.from_numpy(1 / draws).to(samples.targets)
        self.mean = float(samples.targets.mean())
        self.deviation = float(samples.targets.std(correction=0))
        self.step = 0
        size = len(samples) * shape.features * self.dtype.itemsize
        self.cache = None
        if cache and samples.points == 1 and size <= FEATURE_CACHE:
            everything = torch.arange(len(samples), device=device)
            self.cache = torch.cat([self._compute(part) for part in everything.split(1 << 15)])

    def advance(self, rate: float) -> torch.Tensor:
        """Train one batch and return its loss, the mean squared error in units of the variance."""
        index = self.batches[self.step].to(self.samples.targets.device)
        with torch.no_grad():
            torch._foreach_copy_([w for _, w in self.pairs], [m for m, _ in self.pairs])
            features = (
                self._compute(index, self.batches.rng(self.step))
                if self.cache is None
                else self.cache.index_select(0, index)
            )
            target = (self.samples.targets[index] - self.mean) / self.deviation
            importance = self.importance[index, None]
        output = self.working.decode(features)  # (samples * points, outputs)
        output = output.view(len(index), self.samples.points, -1).mean(dim=1)
        loss = (importance * (output - target).square()).mean()
        gradients = torch.autograd.grad(loss, [w for _, w in self.pairs])
        for (master, _), gradient in zip(self.pairs, gradients, strict=True):
            master.grad = gradient.to(master.dtype)
        self.optimizer.step(rate)
        self.step += 1
        return loss.detach()

    def tensors(self) -> list[torch.Tensor]:
        """Return all tensors that training changes, in a fixed order."""
        return [p.detach() for p in self.network.parameters()] + self.optimizer.state()

    def snapshot(self) -> tuple[list[torch.Tensor], int]:
        """Copy the state, as arguments for ``restore``."""
        return [tensor.clone() for tensor in self.tensors()], self.step

    @torch.no_grad()
    def restore(self, tensors: list[torch.Tensor], step: int) -> None:
        """Set the state to ``tensors`` and ``step``."""
        for tensor, saved in zip(self.tensors(), tensors, strict=True):
            tensor.copy_(saved)
        self.step = step

    @property
    def seen(self) -> int:
        """Voxels trained on so far; a voxel counts each time it is drawn."""
        return self.step * self.batches.size * self.samples.targets.shape[1]

    def weights(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Copy weights and biases, with the target's normalization folded into the last layer."""
        weights = [layer.weight.detach().cpu().numpy().copy() for layer in self.network.layers]
        biases = [layer.bias.detach().cpu().numpy().copy() for layer in self.network.layers]
        weights[-1] *= self.deviation
        biases[-1] = biases[-1] * np.float32(self.deviation) + np.float32(self.mean)
        return weights, biases

    @torch.no_grad()
    def _compute(self, index: torch.Tensor, rng=None) -> torch.Tensor:
        return self.network.features(self.samples.coordinates(index, rng)).to(self.dtype)
