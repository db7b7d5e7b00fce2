"""Compile a trained model to a program and attribute the loss to its sources."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from implicore.errors import BadInput
from implicore.formats import Formats
from implicore.job import GridJob
from implicore.patch import Lattice
from implicore.program import Program

from .checkpoint import Model, image_digest
from .golden import Renderer
from .quantize import FloatNetwork, assemble, quantize, staged_outputs
from .quantize.scales import Scales
from .volume import Volume, load_source

CALIBRATION = 4096, 1 << 16
"""Minimum and maximum number of points to which the weights are fitted."""

FITTING = 5e11
"""Multiply-accumulates to spend on fitting, about ten seconds; sets the number of points."""

RANGE = 1 << 18
"""Points, spread over the images, from which the largest activations are taken."""

ACCOUNT = 1 << 15
"""Voxels, those of at least ``BLOCK`` points, on which the loss is split by source."""

BLOCK = 4096
"""Points evaluated at a time."""


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
    """All voxels of a model's images, by the points that decode to them.

    Points are numbered as in ``Lattice``, image after image.

    Parameters
    ----------
    model : Model
    volumes : list of Volume
        The images that the model was trained on, in the same order.

    Attributes
    ----------
    count : int
        Voxels of all images.
    coordinates : int16 array, shape (points, 3)
        In ``fixed.COORDINATE`` units.
    targets : float32 array, shape (points, outputs)
        Intensities, scaled so that the model's range becomes 0 to 1. Patches that reach beyond
        the image repeat its edge there.
    inside : bool array, shape (points, outputs)
        Whether a voxel belongs to the image.

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
        self.count = sum(volume.grid.voxels for volume in volumes)
        lattices = [Lattice(volume.grid, model.patch) for volume in volumes]
        self._grids = [lattice.grid for lattice in lattices]
        jobs = [GridJob.of(grid, model.frame) for grid in self._grids]
        coordinates = [job.coordinates(0, job.voxels).astype(np.int16) for job in jobs]
        self.coordinates = np.concatenate(coordinates)
        low, high = model.intensity.low, model.intensity.high
        pairs = zip(lattices, volumes, strict=True)
        values = np.concatenate([a.split(v.data).astype(np.float32) for a, v in pairs])
        self.targets = (values - np.float32(low)) / np.float32(high - low)
        self.inside = np.concatenate([lattice.inside for lattice in lattices])

    def spread(self, count: int, seed: int) -> np.ndarray:
        """Return the sorted numbers of up to ``count`` random points, determined by ``seed``."""
        if count >= len(self.targets):
            return np.arange(len(self.targets))
        return np.sort(np.random.default_rng(seed).choice(len(self.targets), count, replace=False))

    def exact_coordinates(self, chosen: np.ndarray) -> np.ndarray:
        """Return network coordinates before rounding, float64, shape (chosen, 3)."""
        parts, start = [], 0
        for grid in self._grids:
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
        """Return the PSNR in dB, over all voxels, of a function from points to 0..1.

        Parameters
        ----------
        decode : function of an int16 array (points, 3)
            Returns the voxels, shape (points, outputs).
        advance : function of an int
            Called with the number of voxels done since its last call.
        """
        total = 0.0
        for start in range(0, len(self.targets), BLOCK):
            block = np.arange(start, min(start + BLOCK, len(self.targets)))
            total += self.squared_error(decode(self.coordinates[block]), block)
            advance(int(self.inside[block].sum()))
        return decibels(total / self.count)

    def squared_error(self, voxels: np.ndarray, points: np.ndarray) -> float:
        """Return the sum of the squared errors of voxels, 0..1, inside the image.

        Parameters
        ----------
        voxels : array, shape (points, outputs)
        points : integer array, shape (points,)
            Their numbers.
        """
        error = ((voxels - self.targets[points]) * self.inside[points]).ravel()
        return float(error @ error)


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
    per_point = sum(layer.outputs * layer.inputs**2 for layer in model.shape.layers)
    count = int(np.clip(FITTING / per_point, *CALIBRATION))
    calibration = voxels.coordinates[voxels.spread(count, seed=0)]
    wide = voxels.coordinates[voxels.spread(RANGE, seed=2)]
    rounded, scales = quantize(model, formats, calibration, wide)
    program = assemble(rounded, formats, scales)

    candidates = [program]
    if tune is not None:
        candidates.append(assemble(tune(rounded, scales, voxels), formats, scales))
    advance = progress(voxels.count * (len(candidates) + 1))

    def quality(candidate: Program) -> float:
        renderer = Renderer(candidate)
        return voxels.psnr(
            lambda x: renderer.voxels(x).reshape(len(x), -1) / formats.output_max, advance
        )

    psnrs = [quality(candidate) for candidate in candidates]
    psnr_db = max(psnrs)
    program = candidates[psnrs.index(psnr_db)]
    trained = FloatNetwork(model, np.float32)
    psnr_float_db = voxels.psnr(
        lambda x: trained.activations(trained.features(x))[-1].T.clip(0, 1), advance
    )
    losses_db = account(model, program, scales, voxels)
    return Compiled(program, voxels.count, psnr_float_db, psnr_db, losses_db)


def account(model: Model, program: Program, scales: list[Scales], voxels: Voxels) -> dict:
    """Return the loss in dB that each stage adds, see ``Compiled.losses_db``."""
    chosen = voxels.spread(max(ACCOUNT // model.shape.outputs, BLOCK), seed=1)
    exact, count = voxels.exact_coordinates(chosen), int(voxels.inside[chosen].sum())
    errors: dict[str, float] = {}
    for start in range(0, len(chosen), BLOCK):
        block = slice(start, start + BLOCK)
        for stage, output in staged_outputs(model, program, scales, exact[block]):
            error = voxels.squared_error(np.clip(output, 0, 1), chosen[block])
            errors[stage] = errors.get(stage, 0.0) + error
    psnrs = {stage: decibels(error / count) for stage, error in errors.items()}
    stages = list(psnrs)
    return {b: psnrs[a] - psnrs[b] for a, b in zip(stages[:-1], stages[1:], strict=True)}
