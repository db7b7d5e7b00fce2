"""Training: from images to a model file, in a budget of seconds or steps.

Hidden weight matrices are trained by Muon, everything else by Adam, both under one learning rate
that warms up and then falls along a cosine. Training state is a plain function of its last
checkpoint: batches depend on the seed and the step's number alone.
"""

from __future__ import annotations

import copy
import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import mse_loss
from tqdm import tqdm

from implicore.errors import BadInput
from implicore.fixed import FREQUENCY
from implicore.network_shape import NetworkShape

from .checkpoint import Model, image_digest, read_tensors, write_tensors
from .metrics import psnr, ssim
from .network import FourierNetwork, one_thread, render_float
from .samples import Batches, Samples
from .volume import Volume

BATCH = 4096
"""Points of a step."""

ADAM_RATE = 5e-3
MUON_RATE = 1e-2
WARM_UP = 0.02
"""Share of the budget in which the learning rate rises to its full value."""

PROBE_SHARE = 0.02
PROBE_STEPS = 150
PROBE_BATCH = 2048
"""A candidate for sigma is tried for this share of the budget, but no more than these steps."""

PROBE_RATIO = 2**0.5
"""From one candidate to the next."""

PROBE_LIMIT = 6
"""Candidates lie within this many ratios of 1: from 1/8 to 8 turns per unit of coordinate."""

PROBE_BIAS = 1.15
"""The best sigma after the training over that after a probe: finer detail comes later."""

SAVE_SECONDS = 3.0
"""Wall time between checkpoints."""

CHECK_STEPS = 16
"""Steps between looks at the loss."""

MAX_SETBACKS = 8
"""How often training may diverge, and go on at half the rate, before it gives up."""

FEATURE_CACHE = 512 << 20
"""Bytes of Fourier features that are computed once instead of in each step."""


@dataclass(frozen=True)
class Budget:
    """How long to train: ``seconds`` on the training's clock, or ``steps``."""

    seconds: float | None = None
    steps: int | None = None

    def __post_init__(self):
        if (self.seconds is None) == (self.steps is None):
            raise BadInput("Give either the seconds or the steps to train, and not both.")
        if self.steps is None:
            if not (math.isfinite(self.seconds) and self.seconds > 0):
                raise BadInput(f"The seconds must be a positive number, not {self.seconds}.")
        elif isinstance(self.steps, bool) or not isinstance(self.steps, int) or self.steps < 1:
            raise BadInput(f"The steps must be a positive whole number, not {self.steps}.")

    def spent(self, seconds: float, steps: int) -> float:
        """How much of the budget is used up, from 0 to 1."""
        spent = steps / self.steps if self.seconds is None else seconds / self.seconds
        return min(1.0, spent)


class Optimizer:
    """Muon for the hidden weight matrices, Adam for the first and last layer and the biases.

    Muon (K. Jordan et al., 2024) moves a matrix along its momentum made orthogonal, so that every
    direction advances equally. It gains 4 dB over Adam in 15 s at width 64, for a tenth of the
    step's time.
    """

    BETA, SQUARE_BETA, MUON_BETA = 0.9, 0.99, 0.95

    def __init__(self, network: FourierNetwork):
        hidden = [layer.weight for layer in network.layers[1:-1]]
        by_shape = groupby(sorted(hidden, key=lambda weight: weight.shape), lambda w: w.shape)
        self.groups = [list(group) for _, group in by_shape]
        self.momenta = [torch.zeros_like(torch.stack(group)) for group in self.groups]
        taken = {id(weight) for weight in hidden}
        self.others = [p for p in network.parameters() if id(p) not in taken]
        # One vector for all of Adam's parameters: they are many and small.
        flat = torch.cat([parameter.detach().flatten() for parameter in self.others])
        self.mean, self.square = torch.zeros_like(flat), torch.zeros_like(flat)
        self.count = torch.zeros((), dtype=torch.int64)

    def state(self) -> list[torch.Tensor]:
        """Every tensor that a checkpoint must hold, in a fixed order."""
        return [*self.momenta, self.mean, self.square, self.count]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Apply the gradients, with learning rates scaled by ``rate``."""
        self.count += 1
        gradient = torch.cat([parameter.grad.flatten() for parameter in self.others])
        self.mean.lerp_(gradient, 1 - self.BETA)
        self.square.lerp_(gradient.square(), 1 - self.SQUARE_BETA)
        unbias = math.sqrt(1 - self.SQUARE_BETA ** int(self.count)) / (
            1 - self.BETA ** int(self.count)
        )
        update = self.mean / (self.square.sqrt() + 1e-12)
        parts = update.split([parameter.numel() for parameter in self.others])
        parts = [part.view_as(p) for part, p in zip(parts, self.others, strict=True)]
        torch._foreach_add_(self.others, parts, alpha=float(-ADAM_RATE * rate * unbias))
        for weights, momentum in zip(self.groups, self.momenta, strict=True):
            gradient = torch.stack([weight.grad for weight in weights])  # (n, outputs, inputs)
            momentum.lerp_(gradient, 1 - self.MUON_BETA)
            update = orthogonalize(gradient.lerp(momentum, self.MUON_BETA)).to(momentum)
            torch._foreach_add_(weights, list(update), alpha=-MUON_RATE * rate)


def orthogonalize(matrices: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """Bring all singular values of (n, rows, columns) matrices near 1, in bfloat16.

    Newton-Schulz iteration with the quintic of K. Jordan's Muon, whose slope at 0 is steep:
    singular values end between 0.7 and 1.2, which is near enough for a direction.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrices.bfloat16()
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-20)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


class Trainer:
    """A network, its optimizer and the step they have reached."""

    def __init__(
        self,
        samples: Samples,
        shape: NetworkShape,
        sigma: float,
        seed: int,
        bf16: bool,
        device: torch.device | str = "cpu",
        batch: int = BATCH,
        cache: bool = True,
    ):
        self.samples = samples
        self.network = FourierNetwork(shape, sigma, seed).to(device)
        self.optimizer = Optimizer(self.network)
        # The layers compute with a narrow copy of the weights; sums of small updates need float32.
        self.working = copy.deepcopy(self.network)
        if bf16:
            self.working.layers[:-1].bfloat16()
        self.pairs = list(zip(self.network.parameters(), self.working.parameters(), strict=True))
        self.dtype = torch.bfloat16 if bf16 else torch.float32
        self.batches = Batches(len(samples), max(1, batch // samples.points), seed)
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
        output = self.working.decode(features).view(-1, self.samples.points).mean(dim=1)
        loss = mse_loss(output, target)
        gradients = torch.autograd.grad(loss, [w for _, w in self.pairs])
        for (master, _), gradient in zip(self.pairs, gradients, strict=True):
            master.grad = gradient.to(master.dtype)
        self.optimizer.step(rate)
        self.step += 1
        return loss.detach()

    def tensors(self) -> list[torch.Tensor]:
        """Everything that training changes, in a fixed order."""
        return [p.detach() for p in self.network.parameters()] + self.optimizer.state()

    def snapshot(self) -> tuple[list[torch.Tensor], int]:
        """Copy what ``restore`` takes."""
        return [tensor.clone() for tensor in self.tensors()], self.step

    @torch.no_grad()
    def restore(self, tensors: list[torch.Tensor], step: int) -> None:
        """Go back, or on, to where ``tensors`` were at ``step``."""
        for mine, saved in zip(self.tensors(), tensors, strict=True):
            mine.copy_(saved)
        self.step = step

    @property
    def seen(self) -> int:
        """Voxels trained on so far, each as often as it was drawn."""
        return self.step * self.batches.size

    def weights(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Weights and biases with the target's normalization folded into the last layer."""
        weights = [layer.weight.detach().cpu().numpy().copy() for layer in self.network.layers]
        biases = [layer.bias.detach().cpu().numpy().copy() for layer in self.network.layers]
        weights[-1] *= self.deviation
        biases[-1] = biases[-1] * np.float32(self.deviation) + np.float32(self.mean)
        return weights, biases

    @torch.no_grad()
    def _compute(self, index: torch.Tensor, rng=None) -> torch.Tensor:
        return self.network.features(self.samples.coordinates(index, rng)).to(self.dtype)


def learning_rate(spent: float) -> float:
    """Share of the full learning rate when ``spent`` of the budget, 0 to 1, is used up."""
    return min(1.0, (spent + 1e-4) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * spent))


def fit(
    volumes: list[Volume],
    shape: NetworkShape,
    *,
    seconds: float | None = None,
    steps: int | None = None,
    sigma: float | None = None,
    seed: int = 0,
    device: str = "auto",
    profile: str = "point",
    output=None,
    resume: bool = False,
    sources: list[dict] | None = None,
    quiet: bool = False,
    clock: Callable[[], float] = time.perf_counter,
) -> Model:
    """Train one network on one image, or on several of one subject.

    Parameters
    ----------
    volumes : list of Volume
    shape : NetworkShape
    seconds, steps : float or int
        The budget, one of the two. With ``steps`` the same call makes the same model on the same
        machine, interrupted and resumed or not.
    sigma : float, optional
        Standard deviation of the frequencies; chosen by a probe within the budget unless given.
    seed : int
    device : 'auto', 'cpu', 'cuda' or 'cuda:N'
    profile : 'point' or 'slice'
        See ``Samples``.
    output : path-like, optional
        Where to write the model file. Checkpoints lie beside it, in ``output`` + ``.part``, until
        it is written.
    resume : bool
        Go on from the checkpoint if there is one.
    sources : list of dicts, optional
        Recorded with each image, for whoever needs to find it again.
    quiet : bool
        No progress bar.
    clock : callable
        What ``seconds`` are counted on: wall time unless given. Benchmarks give
        ``time.process_time``. Loading images and the final evaluation are not counted.

    Raises
    ------
    BadInput
        Settings that make no sense, a checkpoint of different settings, one in the way, or a
        training that diverges.
    """
    started = clock()
    budget = Budget(seconds, steps)
    if sigma is not None and not 0 < sigma <= FREQUENCY.high * FREQUENCY.step:
        raise BadInput(f"Sigma must be a positive number up to 32, not {sigma}.")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise BadInput(f"The seed must be a whole number from 0, not {seed}.")
    where = choose_device(device)
    samples = Samples(volumes, profile, where)
    images = tuple(
        {"name": volume.name, "sha256": image_digest(volume), **source}
        for volume, source in zip(volumes, sources or [{}] * len(volumes), strict=True)
    )
    settings = {
        "network": asdict(shape),
        "seconds": seconds,
        "steps": steps,
        "sigma": sigma,
        "seed": seed,
        "device": where.type,
        "profile": profile,
        "images": [image["sha256"] for image in images],
    }
    run = Run(f"{output}.part" if output is not None else None, settings, clock, started)
    if not run.find(resume):
        run.state["bf16"] = bf16_helps(where)
    bf16 = run.state["bf16"]
    with one_thread(), Progress(budget, quiet) as progress:
        if run.state["sigma"] is None:

            def try_sigma(candidate: float) -> float:
                run.save([])
                trial = Trainer(
                    samples, shape, candidate, seed, bf16, where, PROBE_BATCH, cache=False
                )
                return _probe(trial, budget, clock)

            run.state["sigma"] = probe_sigma(try_sigma, run.state["probed"])
        trainer = Trainer(samples, shape, run.state["sigma"], seed, bf16, where)
        _train(trainer, budget, run, progress)
    weights, biases = trainer.weights()
    model = Model(
        shape=shape,
        sigma=run.state["sigma"],
        frequencies=FREQUENCY.quantize(trainer.network.frequencies.cpu().double().numpy()),
        weights=tuple(weights),
        biases=tuple(biases),
        frame=samples.frame,
        grids=samples.grids,
        intensity=samples.intensity,
        images=images,
        training={
            "steps": trainer.step,
            "seconds": run.state["elapsed"],
            "voxels_per_second": trainer.seen / max(run.state["elapsed"], 1e-9),
            "seed": seed,
            "sigma_given": sigma is not None,
            "profile": profile,
            "bf16": bf16,
            "device": where.type,
        },
    )
    model.training.update(evaluate(model, samples))
    if output is not None:
        model.save(output)
        run.part.unlink(missing_ok=True)
    return model


class Run:
    """How far a training has come, in memory and in a checkpoint that survives a kill.

    Parameters
    ----------
    part : path-like or None
        The checkpoint file; none is kept without.
    settings : dict
        What must be the same to go on.
    clock, started :
        The clock, and its reading at the beginning.
    """

    def __init__(self, part, settings: dict, clock: Callable[[], float], started: float):
        self.part = None if part is None else Path(part)
        self.settings, self.clock, self.started = settings, clock, started
        self.tensors: list[torch.Tensor] = []
        self.state = {
            "sigma": settings["sigma"],
            "probed": {},  # losses of the candidates for sigma, by their number
            "bf16": False,
            "elapsed": 0.0,
            "step": 0,
            "scale": 1.0,  # of the learning rate, less after a setback
            "setbacks": 0,
        }

    @property
    def elapsed(self) -> float:
        """Seconds of training, earlier runs included."""
        return self.clock() - self.started

    def find(self, resume: bool) -> bool:
        """Take up the checkpoint to go on from and return True, or return False to begin anew."""
        if self.part is None or not self.part.exists():
            return False
        if not resume:
            raise BadInput(
                f"{self.part} holds an unfinished training: go on with --resume, or delete it to "
                "begin anew."
            )
        arrays, header = read_tensors(self.part, kind="checkpoint")
        for name, value in json.loads(json.dumps(self.settings)).items():
            if (other := header["settings"].get(name)) != value:
                raise BadInput(
                    f"{self.part} was trained with other {name} ({other!r}, not {value!r}): "
                    "resume with the same, or delete it to begin anew."
                )
        self.tensors = [torch.from_numpy(arrays[name]) for name in sorted(arrays)]
        self.state = header["state"]
        self.state["probed"] = {int(k): loss for k, loss in self.state["probed"].items()}
        self.started -= self.state["elapsed"]
        return True

    def save(self, tensors: list[torch.Tensor]) -> None:
        """Note the time and write the checkpoint, whole or not at all."""
        self.state["elapsed"] = self.elapsed
        if self.part is not None:
            arrays = {f"{number:04}": tensor.cpu().numpy() for number, tensor in enumerate(tensors)}
            header = {"kind": "checkpoint", "settings": self.settings, "state": self.state}
            write_tensors(self.part, arrays, header)


def _train(trainer: Trainer, budget: Budget, run: Run, progress: Progress) -> None:
    """Train until the budget is spent, from wherever the run stands."""
    if run.state["step"]:
        trainer.restore(run.tensors, run.state["step"])
    safe = trainer.snapshot()
    saved_at, losses = time.monotonic(), []
    while (spent := budget.spent(run.elapsed, trainer.step)) < 1:
        losses.append(trainer.advance(learning_rate(spent) * run.state["scale"]))
        if trainer.step % CHECK_STEPS:
            continue
        loss = float(torch.stack(losses).mean())
        losses.clear()
        if not math.isfinite(loss):
            run.state["setbacks"] += 1
            if run.state["setbacks"] > MAX_SETBACKS:
                raise BadInput("The training diverges, whatever the learning rate.")
            run.state["scale"] /= 2
            trainer.restore(*safe)
            continue
        safe = trainer.snapshot()
        run.state["step"] = trainer.step
        progress.show(run.elapsed, trainer, loss)
        if time.monotonic() - saved_at >= SAVE_SECONDS:
            run.save(safe[0])
            saved_at = time.monotonic()
    if losses and not torch.stack(losses).isfinite().all():
        trainer.restore(*safe)
    run.state["step"] = trainer.step
    run.save(trainer.tensors())  # the evaluation of a large image takes a while


def probe_sigma(
    try_sigma: Callable[[float], float], known: dict[int, float] | None = None
) -> float:
    """Choose sigma by climbing from 1 to the least loss in steps of ``PROBE_RATIO``.

    Parameters
    ----------
    try_sigma : callable
        The logarithm of the loss after a short training with a sigma.
    known : dict
        Losses by the step's number, kept up to date; those already there are not tried again.
    """
    losses = {} if known is None else known

    def loss(number: int) -> float:
        if abs(number) > PROBE_LIMIT:
            return math.inf
        if number not in losses:
            losses[number] = try_sigma(PROBE_RATIO**number)
        return losses[number]

    best = 0
    for direction in (1, -1):
        while loss(best + direction) < loss(best):
            best += direction
    # The vertex of the parabola through the best one and its neighbours.
    below, here, above = loss(best - 1), loss(best), loss(best + 1)
    bend = below - 2 * here + above
    if math.isfinite(bend) and bend > 0:
        best += (below - above) / (2 * bend)
    return PROBE_BIAS * PROBE_RATIO**best


def evaluate(model: Model, samples: Samples) -> dict[str, float]:
    """PSNR over all voxels of all images, and the mean of the images' SSIM, in float32."""
    index = torch.arange(len(samples))
    fitted = []
    for part in index.split(1 << 16):
        points = samples.coordinates(part.to(samples.targets.device)).cpu()
        output = render_float(model, points).reshape(-1, samples.points)
        fitted.append(output.mean(axis=1))
    fitted, targets = np.concatenate(fitted), samples.targets.cpu().numpy()
    ends = np.cumsum([grid.voxels for grid in samples.grids])[:-1]
    pairs = zip(np.split(targets, ends), np.split(fitted, ends), samples.grids, strict=True)
    similarity = [ssim(a.reshape(g.shape), b.reshape(g.shape), 1.0) for a, b, g in pairs]
    return {"psnr_db": psnr(targets, fitted, 1.0), "ssim": float(np.mean(similarity))}


def choose_device(name: str) -> torch.device:
    """Turn 'auto' or a device's name into a device that is there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise BadInput(f"The device {name!r} is not available: use auto or cpu.") from error
    return torch.device(name)


def bf16_helps(device: torch.device) -> bool:
    """Whether matrix products are clearly faster in bfloat16, measured in a few milliseconds."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    times = {}
    with one_thread():
        for dtype in (torch.float32, torch.bfloat16):
            a, b = torch.ones(1024, 128, dtype=dtype), torch.ones(128, 128, dtype=dtype)
            runs = []
            for _ in range(8):
                started = time.perf_counter()
                a @ b
                runs.append(time.perf_counter() - started)
            times[dtype] = min(runs)
    return times[torch.bfloat16] < 0.75 * times[torch.float32]


class Progress:
    """A progress bar on stderr: share of the budget, time left, PSNR of the batches, rate."""

    def __init__(self, budget: Budget, quiet: bool):
        total = budget.steps if budget.seconds is None else budget.seconds
        self.budget = budget
        self.bar = tqdm(
            total=total,
            desc="fit",
            disable=quiet,
            file=sys.stderr,
            bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}",
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_) -> None:
        self.bar.close()

    def show(self, seconds: float, trainer: Trainer, loss: float) -> None:
        """Show where training stands; ``loss`` is in units of the target's variance."""
        self.bar.n = trainer.step if self.budget.seconds is None else min(seconds, self.bar.total)
        decibel = -10 * math.log10(max(loss, 1e-20) * trainer.deviation**2)
        rate = trainer.seen / max(seconds, 1e-9)
        self.bar.set_postfix_str(f"{decibel:.2f} dB, {rate / 1e3:.0f}k voxels/s", refresh=False)
        self.bar.update(0)


def _probe(trainer: Trainer, budget: Budget, clock: Callable[[], float]) -> float:
    """Train a candidate for sigma briefly and return the logarithm of its loss."""
    started, losses = clock(), []
    limit = Budget(steps=PROBE_STEPS)
    while True:
        share = budget.spent(clock() - started, trainer.step) / PROBE_SHARE
        spent = max(share, limit.spent(0, trainer.step))
        if spent >= 1 and losses:
            break
        losses.append(trainer.advance(learning_rate(min(1.0, spent))))
    last = torch.stack(losses[-max(1, len(losses) // 5) :]).mean()
    return float(last.log().nan_to_num(nan=1e9, posinf=1e9))
