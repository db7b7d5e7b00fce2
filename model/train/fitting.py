"""Fit of a network to images, from the first probe to the model file."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from os import PathLike
from typing import Literal

import numpy as np
import torch

from implicore.errors import BadInput
from implicore.fixed import FREQUENCY
from implicore.network_shape import NetworkShape
from implicore.patch import POINT, Patch, check_patch_fits, checked_patch

from ..checkpoint import Model, image_digest
from ..metrics import psnr, ssim
from ..network import one_thread, render_float
from ..samples import Samples
from ..volume import Volume
from .device import bf16_helps, choose_device
from .recipe import Recipe
from .run import Progress, Run
from .schedule import Budget
from .sigma import PROBE_BATCH, probe_loss, probe_sigma
from .trainer import Trainer

SAVE_SECONDS = 3.0
"""Wall time between checkpoints."""

CHECK_STEPS = 16
"""Steps between checks of the loss."""

MAX_SETBACKS = 8
"""How often a diverging training run halves its learning rate before it gives up."""


def fit(
    volumes: list[Volume],
    shape: NetworkShape,
    *,
    patch: Patch = POINT,
    seconds: float | None = None,
    steps: int | None = None,
    sigma: float | None = None,
    seed: int = 0,
    device: str = "auto",
    profile: Literal["point", "slice"] = "point",
    output: str | PathLike[str] | None = None,
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
    patch : tuple of 3 ints
        The block of voxels that a point decodes to: as many as the network has outputs. Patches of
        several voxels tile one image.
    seconds, steps : float or int
        The budget; give exactly one of them. With ``steps``, the same call gives the same model on
        the same machine, even if it is interrupted and resumed.
    sigma : float, optional
        Standard deviation of the frequencies. By default, a probe within the budget chooses it.
    seed : int
    device : 'auto', 'cpu', 'cuda' or 'cuda:N'
    profile : 'point' or 'slice'
        See ``Samples``.
    output : path-like, optional
        The model file to write. Until it is written, checkpoints go to ``output`` + ``.part``.
    resume : bool
        Continue from the checkpoint if there is one.
    sources : list of dicts, optional
        Fields to record with each image, such as its path.
    quiet : bool
        Show no progress bar.
    clock : callable
        The clock of ``seconds``; wall time by default. Benchmarks use ``time.process_time``.
        Loading the images and the final evaluation are not counted.

    Raises
    ------
    BadInput
        If a setting is invalid, a checkpoint exists without ``resume`` or has other settings, or
        the training diverges.
    """
    started = clock()
    budget = Budget(seconds, steps)
    if sigma is not None and not 0 < sigma <= FREQUENCY.high * FREQUENCY.step:
        raise BadInput(f"Sigma must be a positive number up to 32, not {sigma}.")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise BadInput(f"The seed must be a whole number from 0, not {seed}.")
    torch_device = choose_device(device)
    patch = checked_patch(patch)
    check_patch_fits(patch, shape.outputs, len(volumes))
    samples = Samples(volumes, profile, torch_device, patch)
    images = tuple(
        {"name": volume.name, "sha256": image_digest(volume), **source}
        for volume, source in zip(volumes, sources or [{}] * len(volumes), strict=True)
    )
    settings = {
        "network": shape.to_dict(),
        "seconds": seconds,
        "steps": steps,
        "sigma": sigma,
        "seed": seed,
        "device": torch_device.type,
        "profile": profile,
        "images": [image["sha256"] for image in images],
    }
    if patch != POINT:
        settings["patch"] = list(patch)
    run = Run(f"{output}.part" if output is not None else None, settings, clock, started)
    if not run.find(resume):
        run.state["bf16"] = bf16_helps(torch_device)
    bf16 = run.state["bf16"]
    with one_thread(), Progress(budget, quiet) as progress:
        if run.state["sigma"] is None:

            def try_sigma(candidate: float) -> float:
                run.save([])
                trial = Trainer(
                    samples, shape, candidate, seed, bf16, torch_device, PROBE_BATCH, cache=False
                )
                return probe_loss(trial, budget, clock)

            bias = Recipe.of(shape).probe_bias
            run.state["sigma"] = probe_sigma(try_sigma, run.state["probed"], bias)
        trainer = Trainer(samples, shape, run.state["sigma"], seed, bf16, torch_device)
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
            "device": torch_device.type,
        },
        patch=patch,
    )
    model.training.update(evaluate(model, samples))
    if output is not None:
        model.save(output)
        run.part.unlink(missing_ok=True)
    return model


def _train(trainer: Trainer, budget: Budget, run: Run, progress: Progress) -> None:
    """Train, starting from the run's state, until the budget is spent."""
    if run.state["step"]:
        trainer.restore(run.tensors, run.state["step"])
    snapshot = trainer.snapshot()
    saved_at, losses = time.monotonic(), []
    while (spent := budget.spent(run.elapsed, trainer.step)) < 1:
        losses.append(trainer.advance(trainer.recipe.learning_rate(spent) * run.state["scale"]))
        if trainer.step % CHECK_STEPS:
            continue
        loss = float(torch.stack(losses).mean())
        losses.clear()
        if not math.isfinite(loss):
            run.state["setbacks"] += 1
            if run.state["setbacks"] > MAX_SETBACKS:
                raise BadInput("The training diverges at every learning rate.")
            run.state["scale"] /= 2
            trainer.restore(*snapshot)
            continue
        snapshot = trainer.snapshot()
        run.state["step"] = trainer.step
        progress.show(run.elapsed, trainer, loss)
        if time.monotonic() - saved_at >= SAVE_SECONDS:
            run.save(snapshot[0])
            saved_at = time.monotonic()
    if losses and not torch.stack(losses).isfinite().all():
        trainer.restore(*snapshot)
    run.state["step"] = trainer.step
    run.save(trainer.tensors())  # before the evaluation, which is slow for a large image


def evaluate(model: Model, samples: Samples) -> dict[str, float]:
    """Compute the PSNR over all voxels and the mean SSIM of the images, in float32.

    Returns
    -------
    dict
        ``psnr_db`` and ``ssim``.
    """
    index = torch.arange(len(samples))
    fitted = []
    for part in index.split(1 << 16):
        points = samples.coordinates(part.to(samples.targets.device)).cpu()
        output = render_float(model, points).reshape(len(part), samples.points, -1)
        fitted.append(output.mean(axis=1))
    targets = samples.images(samples.targets.cpu().numpy())
    images = samples.images(np.concatenate(fitted))
    similarity = [ssim(a, b, 1.0) for a, b in zip(targets, images, strict=True)]
    flat = (np.concatenate([image.ravel() for image in part]) for part in (targets, images))
    return {"psnr_db": psnr(*flat, 1.0), "ssim": float(np.mean(similarity))}
