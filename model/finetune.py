"""Quantization-aware tuning: the weights learn to live with their own rounding.

The forward pass is the program's integer arithmetic, carried in float32; the backward pass takes
every rounding for the identity (the straight-through estimator, Bengio et al., arXiv 1308.3432).
Units, multipliers and shifts stay as they were chosen.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from tqdm import tqdm

from implicore.config import Formats
from implicore.fixed import phase_address
from implicore.sincos import SineTable

from .checkpoint import Model
from .network import one_thread
from .quantize import Scales

BATCH = 2048
RATE = 3e-4
WARM_UP = 0.05

BAR_FORMAT = "{desc}: {percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f} s{postfix}"


class IntegerNetwork(torch.nn.Module):
    """A program in float32 with gradients.

    Parameters
    ----------
    model : Model
        Where the weights start.
    formats : Formats
    scales : list of Scales
    """

    def __init__(self, model: Model, formats: Formats, scales: list[Scales]):
        super().__init__()
        self.formats, self.sizes = formats, model.shape.layers
        self.frequencies = model.frequencies
        table = SineTable(formats.table_address_bits, formats.activation_bits)
        self.table = torch.tensor(np.stack([table.cosines, table.sines])).float()
        self.weights = torch.nn.ParameterList(torch.tensor(w) for w in model.weights)
        self.biases = torch.nn.ParameterList(torch.tensor(b) for b in model.biases)
        self.units = [
            tuple(
                torch.tensor(array).float()
                for array in (
                    unit.inputs / unit.sums[:, None],  # weight to integer
                    unit.midpoints,
                    unit.sums / unit.outputs,  # sum to result
                    1 / unit.outputs,
                )
            )
            for unit in scales
        ]

    def features(self, coordinates: np.ndarray) -> torch.Tensor:
        """Integer features, float32 (points, 2 L), of integer coordinates (points, 3)."""
        phases = phase_address(self.frequencies, coordinates, self.formats.table_address_bits)
        phases = torch.from_numpy(phases.T.astype(np.int64))
        return torch.cat([self.table[0][phases], self.table[1][phases]], dim=1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Integer features (points, 2 L) to intensities from 0 to 1, (points,)."""
        formats = self.formats
        top = (1 << (formats.weight_bits - 1)) - 1
        hidden = features[:, :0]
        for number, size in enumerate(self.sizes):
            to_integer, midpoints, ratio, per_unit = self.units[number]
            weights = _rounded((self.weights[number] * to_integer).clamp(-top, top))
            inputs = torch.cat([features[:, : size.features], hidden], dim=1)
            offsets = (weights @ midpoints) * ratio + self.biases[number] * per_unit
            results = torch.addmm(offsets, inputs, (weights * ratio[:, None]).T)
            if number + 1 < len(self.sizes):
                hidden = _rounded(results.clamp(0, formats.activation_max))
        return _rounded(results[:, 0]) / formats.output_max


def _rounded(values: torch.Tensor) -> torch.Tensor:
    """Round half up; the gradient passes unchanged."""
    return values + ((values + 0.5).floor() - values).detach()


def finetune(
    model: Model,
    formats: Formats,
    scales: list[Scales],
    coordinates: np.ndarray,
    targets: np.ndarray,
    *,
    seconds: float,
    seed: int = 0,
    clock: Callable[[], float] = time.perf_counter,
    report: Callable[[float, int, float], None] = lambda spent, step, loss: None,
) -> Model:
    """Tune a model's weights for the integers they will become.

    Parameters
    ----------
    coordinates : int16 array, shape (samples, 3)
        All samples of the images.
    targets : float32 array, shape (samples,)
        Their intensities, 0 to 1 over the model's intensity range.
    seconds : float
        On ``clock``.
    report : callable
        Told the seconds spent, the step and the mean squared error now and then.

    Returns
    -------
    Model
        The same model with other weights and biases.
    """
    started = clock()
    rng = np.random.default_rng(seed)
    with one_thread():
        network = IntegerNetwork(model, formats, scales)
        optimizer = torch.optim.Adam(network.parameters(), lr=RATE, betas=(0.9, 0.99), fused=True)
        step, order = 0, np.empty(0, np.int64)
        while (spent := (clock() - started) / seconds) < 1:
            if len(order) < min(BATCH, len(targets)):
                order = rng.permutation(len(targets))
            batch, order = order[:BATCH], order[BATCH:]
            rate = min(1, spent / WARM_UP + 0.01) * (1 + math.cos(math.pi * spent)) / 2
            optimizer.param_groups[0]["lr"] = RATE * rate
            output = network(network.features(coordinates[batch]))
            loss = torch.nn.functional.mse_loss(output, torch.from_numpy(targets[batch]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            if step % 8 == 0:
                report(clock() - started, step, float(loss.detach()))
        return replace(
            model,
            weights=tuple(weight.detach().numpy() for weight in network.weights),
            biases=tuple(bias.detach().numpy() for bias in network.biases),
        )


def tuned(
    formats: Formats, model: Model, scales: list[Scales], voxels, *, seconds: float, quiet: bool
) -> Model:
    """``finetune`` on all ``voxels`` (a ``compiler.Voxels``), with a progress bar."""
    with tqdm(
        total=seconds, desc="tuning", disable=quiet, leave=False, bar_format=BAR_FORMAT
    ) as bar:

        def report(spent, step, loss):
            bar.update(min(spent, seconds) - bar.n)
            bar.set_postfix_str(f"step {step}, {-10 * math.log10(max(loss, 1e-12)):.1f} dB")

        return finetune(
            model,
            formats,
            scales,
            voxels.coordinates,
            voxels.targets,
            seconds=seconds,
            report=report,
        )
