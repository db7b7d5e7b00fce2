"""Compile a trained model to a program and attribute the loss to its sources."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from implicore.errors import BadInput
from implicore.formats import Formats
from implicore.job import GridJob
from implicore.program import Program

from .checkpoint import Model, image_digest
from .golden import Renderer
from .quantize import FloatNetwork, assemble, quantize, staged_outputs
from .quantize.scales import Scales
from .volume import Volume, load_source

CALIBRATION = 4096, 1 << 16
"""Minimum and maximum number of voxels to which the weights are fitted."""

FITTING = 5e11
"""Multiply-accumulates to spend on fitting, about ten seconds; sets the number of voxels."""

RANGE = 1 << 18
"""Voxels, spread over the images, from which the largest activations are taken."""

ACCOUNT = 1 << 15
"""Voxels, spread over the images, on which the loss is split by source."""

BLOCK = 4096


@dataclass(frozen=True)
class Compiled:
    """A program and its distance from the images.

    Attributes
    ----------
    program : Program
    voxels : int
        Voxels of all images.
    psnr_float_db, psnr_db : float
        PSNR of the trained and of the compiled network against the images, over all voxels.
    losses_db : dict
        Loss by source, in the order of ``quantize.STAGES``: the drop in PSNR when the source is
        added to the sources before it, on a sample of the voxels.
    """

    program: Program
    voxels: int
    psnr_float_db: float
    psnr_db: float
    losses_db: dict[str, float]

    @property
    def loss_db(self) -> float:
        """Drop in PSNR from the trained to the compiled network."""
        return self.psnr_float_db - self.psnr_db

    @cached_property
    def metrics(self) -> dict:
        """Quality and size of the program: the metrics of ``implicore compile``."""
        size = len(self.program.to_bytes())
        return {
            "formats": str(self.program.formats),
            "psnr_float_db": self.psnr_float_db,
            "psnr_db": self.psnr_db,
            "loss_db": self.loss_db,
            "losses_db": self.losses_db,
            "bytes": size,
            "bits_per_voxel": 8 * size / self.voxels,
            "accumulator_bits": self.program.accumulator_bits,
            "digest": self.program.digest,
        }


def training_images(model: Model, paths: Sequence[str] | None = None) -> list[Volume]:
    """Load the images that a model was trained on, cropped as they were.

    Parameters
    ----------
    model : Model
    paths : sequence of str, optional
        Current paths of the images, in the model's order; the recorded paths by default.

    Raises
    ------
    BadInput
        An image cannot be read.
    """
    sources = [{"path": path} for path in paths] if paths else list(model.images)
    if paths and len(paths) == len(model.images):
        sources = [{**image, **source} for image, source in zip(model.images, sources, strict=True)]
    return [load_source(source) for source in sources]


class Voxels:
    """All voxels of a model's images, with integer coordinates.

    Parameters
    ----------
    model : Model
    volumes : list of Volume
        The images that the model was trained on, in the same order.

    Attributes
    ----------
    coordinates : int16 array, shape (voxels, 3)
        In ``fixed.COORDINATE`` units.
    targets : float32 array, shape (voxels,)
        Intensities, scaled so that the model's range becomes 0 to 1.

    Raises
    ------
    BadInput
        The images are not the ones that the model was trained on.
    """

    def __init__(self, model: Model, volumes: list[Volume]):
        if len(volumes) != len(model.images):
            raise BadInput(
                f"The model was trained on {len(model.images)} images, not on {len(volumes)}: "
                "give them all, in the same order."
            )
        for volume, image in zip(volumes, model.images, strict=True):
            if image_digest(volume) != image["sha256"]:
                raise BadInput(
                    f"{volume.name} is not the image {image['name']} that the model was trained "
                    "on: its voxels differ."
                )
        self.model, self.volumes = model, volumes
        jobs = [GridJob.of(volume.grid, model.frame) for volume in volumes]
        coordinates = [job.coordinates(0, job.voxels).astype(np.int16) for job in jobs]
        self.coordinates = np.concatenate(coordinates)
        low, high = model.intensity.low, model.intensity.high
        flat = np.concatenate([v.data.ravel(order="F").astype(np.float32) for v in volumes])
        self.targets = (flat - np.float32(low)) / np.float32(high - low)

    def spread(self, count: int, seed: int) -> np.ndarray:
        """Return the sorted indices of up to ``count`` random voxels, determined by ``seed``."""
        if count >= len(self.targets):
            return np.arange(len(self.targets))
        return np.sort(np.random.default_rng(seed).choice(len(self.targets), count, replace=False))

    def exact_coordinates(self, chosen: np.ndarray) -> np.ndarray:
        """Return network coordinates before rounding, float64, shape (chosen, 3)."""
        parts, start = [], 0
        for volume in self.volumes:
            grid = volume.grid
            inside = chosen[(start <= chosen) & (chosen < start + grid.voxels)] - start
            index = np.stack(np.unravel_index(inside, grid.shape, order="F"), axis=-1)
            affine = self.model.frame.affine(grid)
            parts.append(index @ affine[:, :3].T + affine[:, 3])
            start += grid.voxels
        return np.concatenate(parts)

    def psnr(
        self,
        decode: Callable[[np.ndarray], np.ndarray],
        advance: Callable[[int], object] = lambda n: None,
    ) -> float:
        """Return the PSNR in dB, over all voxels, of a function from coordinates to 0..1."""
        total = 0.0
        for start in range(0, len(self.targets), BLOCK):
            block = slice(start, start + BLOCK)
            error = decode(self.coordinates[block]) - self.targets[block]
            total += float(error @ error)
            advance(len(error))
        return decibels(total / len(self.targets))


def decibels(mean_squared_error: float) -> float:
    """Return the PSNR in dB of an error relative to a peak of 1; infinite for no error."""
    return -10 * float(np.log10(mean_squared_error)) if mean_squared_error > 0 else float("inf")


def compile_model(
    model: Model,
    formats: Formats,
    volumes: list[Volume],
    *,
    tune: Callable | None = None,
    progress: Callable[[int], Callable[[int], None]] = lambda total: lambda done: None,
) -> Compiled:
    """Compile a model to a program.

    Parameters
    ----------
    model : Model
    formats : Formats
    volumes : list of Volume
        The images that the model was trained on (``training_images``). Activation ranges, tuning
        and the loss by source are computed from them.
    tune : function (rounded model, scales, voxels) -> Model, optional
        Quantization-aware training, see ``finetune``. The result is kept if its PSNR is higher
        than the untuned program's.
    progress : function (total) -> function (done)
        Called with the number of voxels to evaluate when the evaluation begins. The function that
        it returns is called with the number of voxels done since its last call.

    Raises
    ------
    BadInput
        The images are not the model's, or the formats cannot hold the network.
    """
    voxels = Voxels(model, volumes)
    per_voxel = sum(layer.outputs * layer.inputs**2 for layer in model.shape.layers)
    count = int(np.clip(FITTING / per_voxel, *CALIBRATION))
    calibration = voxels.coordinates[voxels.spread(count, seed=0)]
    wide = voxels.coordinates[voxels.spread(RANGE, seed=2)]
    rounded, scales = quantize(model, formats, calibration, wide)
    program = assemble(rounded, formats, scales)

    candidates = [program]
    if tune is not None:
        candidates.append(assemble(tune(rounded, scales, voxels), formats, scales))
    advance = progress(len(voxels.targets) * (len(candidates) + 1))

    def quality(candidate: Program) -> float:
        renderer = Renderer(candidate)
        return voxels.psnr(lambda x: renderer.voxels(x) / formats.output_max, advance)

    psnrs = [quality(candidate) for candidate in candidates]
    psnr_db = max(psnrs)
    program = candidates[psnrs.index(psnr_db)]
    trained = FloatNetwork(model, np.float32)
    psnr_float_db = voxels.psnr(
        lambda x: trained.activations(trained.features(x))[-1][0].clip(0, 1), advance
    )
    losses_db = account(model, program, scales, voxels)
    return Compiled(program, len(voxels.targets), psnr_float_db, psnr_db, losses_db)


def account(model: Model, program: Program, scales: list[Scales], voxels: Voxels) -> dict:
    """Return the loss in dB that each stage adds, see ``Compiled.losses_db``."""
    chosen = voxels.spread(ACCOUNT, seed=1)
    exact, targets = voxels.exact_coordinates(chosen), voxels.targets[chosen]
    errors: dict[str, float] = {}
    for start in range(0, len(chosen), BLOCK):
        block = slice(start, start + BLOCK)
        for stage, output in staged_outputs(model, program, scales, exact[block]):
            error = np.clip(output, 0, 1) - targets[block]
            errors[stage] = errors.get(stage, 0.0) + float(error @ error)
    psnrs = {stage: decibels(error / len(chosen)) for stage, error in errors.items()}
    stages = list(psnrs)
    return {b: psnrs[a] - psnrs[b] for a, b in zip(stages[:-1], stages[1:], strict=True)}
