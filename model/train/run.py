"""The progress of a training run: its checkpoint and its progress bar."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from tqdm import tqdm

from implicore.errors import BadInput

from ..checkpoint import read_tensors, write_tensors
from .schedule import Budget
from .trainer import Trainer


class Run:
    """The progress of a training run, in memory and in a checkpoint that survives a kill.

    Parameters
    ----------
    part : path-like or None
        The checkpoint file; with None, no checkpoint is written.
    settings : dict
        Settings that must be the same to resume.
    clock, started : callable, float
        The clock, and its value at the beginning.
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
            "scale": 1.0,  # of the learning rate, halved at each setback
            "setbacks": 0,
        }

    @property
    def elapsed(self) -> float:
        """Seconds of training, including earlier runs."""
        return self.clock() - self.started

    def find(self, resume: bool) -> bool:
        """Load the checkpoint if it exists, and return whether it does.

        Raises
        ------
        BadInput
            If the checkpoint exists and ``resume`` is not set, or its settings are different.
        """
        if self.part is None or not self.part.exists():
            return False
        if not resume:
            raise BadInput(
                f"{self.part} holds an unfinished training run: continue it with --resume, or "
                "delete it to start again."
            )
        arrays, header = read_tensors(self.part, kind="checkpoint")
        for name, value in json.loads(json.dumps(self.settings)).items():
            if (other := header["settings"].get(name)) != value:
                raise BadInput(
                    f"{self.part} was trained with other {name} ({other!r}, not {value!r}): "
                    "resume with the same settings, or delete it to start again."
                )
        self.tensors = [torch.from_numpy(arrays[name]) for name in sorted(arrays)]
        self.state = header["state"]
        self.state["probed"] = {int(k): loss for k, loss in self.state["probed"].items()}
        self.started -= self.state["elapsed"]
        return True

    def save(self, tensors: list[torch.Tensor]) -> None:
        """Record the elapsed time and write the checkpoint atomically."""
        self.state["elapsed"] = self.elapsed
        if self.part is not None:
            arrays = {f"{number:04}": tensor.cpu().numpy() for number, tensor in enumerate(tensors)}
            header = {"kind": "checkpoint", "settings": self.settings, "state": self.state}
            write_tensors(self.part, arrays, header)


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
        """Show the progress; ``loss`` is in units of the target's variance."""
        self.bar.n = trainer.step if self.budget.seconds is None else min(seconds, self.bar.total)
        decibel = -10 * math.log10(max(loss, 1e-20) * trainer.deviation**2)
        rate = trainer.seen / max(seconds, 1e-9)
        self.bar.set_postfix_str(f"{decibel:.2f} dB, {rate / 1e3:.0f}k voxels/s", refresh=False)
        self.bar.update(0)
