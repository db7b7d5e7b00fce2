"""Networks and programs of a volume, for ``bench/rate_distortion.py``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rate_points import Point, point
from tqdm import tqdm

from implicore.formats import Formats
from implicore.model.checkpoint import Model
from implicore.model.compiler import CALIBRATION, Voxels
from implicore.model.finetune import finetune
from implicore.model.golden import Renderer
from implicore.model.quantize import assemble, quantize
from implicore.model.train import fit
from implicore.model.volume import Volume, to_intensities
from implicore.network_shape import NETWORKS, PRESET_PATCHES
from implicore.patch import POINT
from implicore.program import Program


class Budget(NamedTuple):
    """CPU-seconds of training and tuning, and the seed."""

    fit: float
    finetune: float
    seed: int


def trained(volume: Volume, preset: str, budget: Budget, path: Path, quiet: bool) -> Model:
    """Load the network of a preset from ``path``, or train it and save it there."""
    if path.exists():
        model = Model.load(path)
        if model.shape == NETWORKS[preset]:
            return model
    return fit(
        [volume],
        NETWORKS[preset],
        patch=PRESET_PATCHES.get(preset, POINT),
        seconds=budget.fit,
        seed=budget.seed,
        device="cpu",
        output=path,
        resume=True,
        quiet=quiet,
        clock=time.process_time,
    )


def compiled(model: Model, volume: Volume, formats: Formats, budget: Budget, quiet: bool):
    """Make the program that ``compile --finetune`` makes, without analysing the losses."""
    voxels = Voxels(model, [volume])
    sample = voxels.coordinates[voxels.spread(CALIBRATION[1] // 2, seed=0)]
    rounded, scales = quantize(model, formats, sample)
    if budget.finetune > 0:
        with tqdm(total=budget.finetune, desc="tuning", disable=quiet, leave=False) as bar:
            rounded = finetune(
                rounded,
                formats,
                scales,
                voxels.coordinates,
                voxels.targets,
                seconds=budget.finetune,
                seed=budget.seed,
                clock=time.process_time,
                report=lambda spent, step, loss: bar.update(min(spent, bar.total) - bar.n),
            )
    return assemble(rounded, formats, scales)


def measure_program(program: Program, volume: Volume, quiet: bool) -> Point:
    """Decode a program as ``render`` does, in the volume's own voxel type."""
    intensity, top = program.intensity, program.formats.output_max
    table = to_intensities(intensity.values(np.arange(top + 1), top), intensity.dtype)
    total = volume.grid.voxels
    with tqdm(total=total, desc="rendering", unit_scale=True, disable=quiet, leave=False) as bar:
        decoded = Renderer(program).render(volume.grid, table.__getitem__, bar.update)
    return point(volume.data, decoded, len(program.to_bytes()))
