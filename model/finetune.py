"""Quantization-aware tuning: training the weights for the integers that they become.

The forward pass is the program's integer arithmetic, computed in float32. The backward pass treats
every rounding as the identity (straight-through estimator, Bengio et al., arXiv 1308.3432).
Scales, multipliers and shifts are not changed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from tqdm import tqdm

from implicore.fixed import phase_address
from implicore.formats import Formats
from implicore.sincos import SineTable

from .checkpoint import Model
from .network import one_thread
from .quantize import Scales
from .train import bf16_helps

BATCH = 2048
WEIGHT_RATE = 1.6
"""Learning rate of the weights, in integer units times the number of integers of a weight."""

BIAS_RATE = 1e-4
WARM_UP = 0.05

BAR_FORMAT = "{desc}: {percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f} s{postfix}"


class IntegerNetwork(torch.nn.Module):
    """A program in float32 with gradients.

    Parameters
    ----------
    model : Model
        The initial weights.
    formats : Formats
    scales : list of Scales
    """

    def __init__(self, model: Model, formats: Formats, scales: list[Scales]):
        super().__init__()
        self.model, self.formats = model, formats
        table = SineTable(formats.table_address_bits, formats.activation_bits)
        self.table = torch.tensor(np.stack([table.cosines, table.sines])).float()
        self.to_integers = [
            torch.tensor(u.inputs / u.accumulators[:, None]).float() for u in scales
        ]
        self.midpoints = [torch.tensor(u.midpoints).float() for u in scales]
        self.ratios = [torch.tensor(u.accumulators / u.outputs).float() for u in scales]
        self.per_unit = [torch.tensor(1 / u.outputs).float() for u in scales]
        # Weights are in units of their integers, so that one learning rate fits every format.
        self.integers = torch.nn.ParameterList(
            torch.tensor(w) * unit for w, unit in zip(model.weights, self.to_integers, strict=True)
        )
        self.biases = torch.nn.ParameterList(torch.tensor(b) for b in model.biases)
        bf16 = bf16_helps(torch.device("cpu"))
        self.gradient_type = torch.bfloat16 if bf16 else torch.float32

    def features(self, coordinates: np.ndarray) -> torch.Tensor:
        """Compute integer features, float32 (points, 2 L), for integer coordinates (points, 3)."""
        bits = self.formats.table_address_bits
        phases = phase_address(self.model.frequencies, coordinates, bits)
        phases = torch.from_numpy(phases.T.astype(np.int64))
        return torch.cat([self.table[0][phases], self.table[1][phases]], dim=1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map integer features (points, 2 L) to intensities (points, outputs) from 0 to 1."""
        formats, shape = self.formats, self.model.shape
        top = formats.weight_max
        hidden = features[:, :0]
        for number, size in enumerate(shape.layers):
            weights = Rounded.apply(self.integers[number], -top, top)
            inputs = torch.cat([features[:, : size.features], hidden], dim=1)
            ratio = self.ratios[number]
            offsets = (weights @ self.midpoints[number]) * ratio
            offsets = offsets + self.biases[number] * self.per_unit[number]
            scaled = weights * ratio[:, None]
            results = Affine.apply(inputs, scaled, offsets, self.gradient_type)
            if number + 1 < shape.depth:
                hidden = Rounded.apply(results, 0, formats.activation_max)
        return results / formats.output_max

    def to_model(self) -> Model:
        """Return the model with this network's weights and biases."""
        weights = zip(self.integers, self.to_integers, strict=True)
        return replace(
            self.model,
            weights=tuple((integers.detach() / unit).numpy() for integers, unit in weights),
            biases=tuple(bias.detach().numpy() for bias in self.biases),
        )


class Rounded(torch.autograd.Function):
    """Round half up and saturate; the gradient passes where the value is not saturated."""

    @staticmethod
    def forward(ctx, values: torch.Tensor, low: float, high: float) -> torch.Tensor:
        """Round to integers from ``low`` to ``high``."""
        ctx.save_for_backward((values > low - 0.5) & (values < high + 0.5))
        return (values + 0.5).floor_().clamp_(low, high)

    @staticmethod
    def backward(ctx, gradient: torch.Tensor):
        """Return the gradient with respect to the values, as if there had been no rounding."""
        (inside,) = ctx.saved_tensors
        return gradient * inside, None, None


class Affine(torch.autograd.Function):
    """``inputs @ weights.T + offsets``, in float32 forwards and ``gradient_type`` backwards."""

    @staticmethod
    def forward(ctx, inputs, weights, offsets, gradient_type) -> torch.Tensor:
        """Compute the results (points, outputs) in float32."""
        ctx.save_for_backward(inputs.to(gradient_type), weights.to(gradient_type))
        return torch.addmm(offsets, inputs, weights.T)

    @staticmethod
    def backward(ctx, gradient: torch.Tensor):
        """Return the gradients with respect to inputs, weights and offsets."""
        inputs, weights = ctx.saved_tensors
        narrow = gradient.to(inputs.dtype)
        to_inputs = (narrow @ weights).float() if ctx.needs_input_grad[0] else None
        return to_inputs, (narrow.T @ inputs).float(), gradient.sum(dim=0), None


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
    """Tune a model's weights for the integers that they become.

    Parameters
    ----------
    model : Model
        With weights rounded by ``quantize``.
    formats : Formats
    scales : list of Scales
        As ``quantize`` returned them.
    coordinates : int16 array, shape (points, 3)
        All points of the images.
    targets : float32 array, shape (points, outputs)
        Their voxels' intensities, 0 to 1 over the model's intensity range.
    seconds : float
        Duration, measured on ``clock``.
    report : function (seconds spent, step, mean squared error)
        Called every eighth step.

    Returns
    -------
    Model
        The same model with other weights and biases.
    """
    started = clock()
    rng = np.random.default_rng(seed)
    with one_thread():
        network = IntegerNetwork(model, formats, scales)
        rates = (WEIGHT_RATE / (1 << formats.weight_bits), BIAS_RATE)
        groups = [{"params": list(p)} for p in (network.integers, network.biases)]
        optimizer = torch.optim.Adam(groups, lr=0.0, betas=(0.9, 0.99), eps=1e-15, fused=True)
        step, order = 0, np.empty(0, np.int64)
        while (spent := (clock() - started) / seconds) < 1:
            if len(order) < min(BATCH, len(targets)):
                order = rng.permutation(len(targets))
            batch, order = order[:BATCH], order[BATCH:]
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * min(1, spent / WARM_UP) * (1 + math.cos(math.pi * spent)) / 2
            output = network(network.features(coordinates[batch]))
            loss = torch.nn.functional.mse_loss(output, torch.from_numpy(targets[batch]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            if step % 8 == 0:
                report(clock() - started, step, float(loss.detach()))
        return network.to_model()


def tuned(
    formats: Formats, model: Model, scales: list[Scales], voxels, *, seconds: float, quiet: bool
) -> Model:
    """Run ``finetune`` on all ``voxels`` (a ``compiler.Voxels``) with a progress bar."""
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
