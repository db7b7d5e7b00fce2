"""The workloads of a sweep: programs, compiled once for each format."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from implicore.atomic import make_folder, write_json
from implicore.cache import cached
from implicore.digest import source_digest
from implicore.errors import BadInput
from implicore.formats import Formats
from implicore.model.checkpoint import image_digest
from implicore.model.compiler import compile_model
from implicore.model.golden import Renderer
from implicore.model.metrics import psnr
from implicore.model.volume import Volume, load_source, save_plane_png
from implicore.network_shape import NetworkShape
from implicore.program import Program
from implicore.sim.picture import sample

from .points import Point, Source
from .spec import Spec

NAN = float("nan")


@dataclass(frozen=True)
class Workload:
    """The program that the accelerators of one source and one format decode.

    Attributes
    ----------
    shape : NetworkShape
    program : Program or None
        None for a preset's shape: without a program there is no energy and no quality.
    psnr_db : float
        PSNR of the program against its image; NaN without an image.
    decoded, original : float array of shape (columns, rows), or None
        The middle axial plane, 0 to 1 over the program's intensities.
    """

    shape: NetworkShape
    program: Program | None = None
    psnr_db: float = NAN
    decoded: np.ndarray | None = None
    original: np.ndarray | None = None


def prepare(source: Source, formats: Formats | None, volumes: list[Volume]) -> Workload:
    """Compile a model, and decode the middle plane of its image.

    Parameters
    ----------
    source : Source
    formats : Formats or None
        Formats to compile a model for; None for other sources.
    volumes : list of Volume
        The images of a model; none or one of a program.
    """
    if source.kind == "network":
        return Workload(source.shape)
    with threadpool_limits(1, user_api="blas"):
        if source.kind == "model":
            program, psnr_db = _compiled(source, formats, volumes)
        else:
            program, psnr_db = source.content, _quality(source, volumes)
        plane = program.grid.middle_plane()
        decoded = Renderer(program).render(plane)[:, :, 0] / program.formats.output_max
    original = None
    if volumes:
        low, high = program.intensity.low, program.intensity.high
        original = (sample(volumes[0], plane)[:, :, 0].astype(float) - low) / (high - low)
    return Workload(program.shape, program, psnr_db, decoded, original)


def _compiled(source: Source, formats: Formats, volumes: list[Volume]) -> tuple[Program, float]:
    """Return the program of a model and its PSNR in dB, from the cache if they are there."""

    def make(folder: Path) -> None:
        compiled = compile_model(source.content, formats, volumes)
        compiled.program.save(folder / "program.inr")
        write_json(folder / "quality.json", {"psnr_db": compiled.psnr_db})

    inputs = {
        "model": source.digest,
        "formats": str(formats),
        "images": [image_digest(volume) for volume in volumes],
        "numpy": np.__version__,
        "code": source_digest("implicore", "implicore.model"),
    }
    folder = cached("compiled", inputs, make)
    quality = json.loads((folder / "quality.json").read_text(encoding="utf-8"))["psnr_db"]
    return Program.load(folder / "program.inr"), NAN if quality is None else quality


def _quality(source: Source, volumes: list[Volume]) -> float:
    """Return the PSNR in dB that ``render --image`` reports; NaN without an image."""
    if not volumes:
        return NAN
    (volume,), program = volumes, source.content
    if volume.grid.shape != program.grid.shape:
        raise BadInput(
            f"The image has {volume.grid.shape} voxels and {source.name} {program.grid.shape}: "
            "name the image that the program was compiled for."
        )
    low, high = volume.intensity_range
    top = program.formats.output_max
    values = program.intensity.values(np.arange(top + 1), top).astype(np.float32)
    decoded = Renderer(program).render(program.grid, values.__getitem__)
    return psnr(volume.data, decoded, high - low)


class Workloads:
    """The workloads of a sweep, prepared by workers and written into the sweep's folder.

    Parameters
    ----------
    spec : Spec
    folder : Path
        The programs go into ``programs``, their middle planes into ``images``.
    """

    def __init__(self, spec: Spec, folder: Path):
        self.spec = spec
        self.folder = folder
        self._workloads: dict[tuple[str, str], Workload | Exception] = {}
        self._images: dict[Source, list[Volume]] = {}

    def key(self, point: Point) -> tuple[str, str]:
        """Return a value that is equal for points that decode the same program."""
        compiled = point.source.kind == "model"
        return point.source.name, str(point.config.formats) if compiled else ""

    def of(self, point: Point) -> Workload | Exception:
        """Return the workload of a point, or the exception that its preparation ended with."""
        return self._workloads[self.key(point)]

    def prepare(self, points: list[Point], function: Callable, workers, bar) -> None:
        """Have the workers prepare the workloads of these points that are missing.

        Parameters
        ----------
        points : list of Point
        function : callable
            ``prepare`` or a function with its parameters.
        workers : Workers
        bar : function (total, text) -> context manager with ``update(done)``
        """
        missing = {self.key(point): point for point in points}
        futures = {}
        for key, point in missing.items():
            if key in self._workloads:
                continue
            formats = point.config.formats if point.source.kind == "model" else None
            future = workers.submit(function, point.source, formats, self._volumes(point.source))
            futures[future] = key, point
        with bar(len(futures), "compiling programs") as progress:
            for (key, point), outcome in workers.outcomes(futures):
                self._workloads[key] = outcome
                if not isinstance(outcome, Exception):
                    self._write(point, outcome)
                progress.update(1)

    def files(self, point: Point) -> tuple[str, str]:
        """Return the files of a point's program and picture, relative to the folder."""
        stems = [Path(source.name).stem for source in self.spec.sources]
        name, formats = Path(point.source.name).stem, self.key(point)[1]
        if stems.count(name) > 1:
            name += f"-{point.source.digest[:6]}"
        if formats:
            name += f"-{formats}"
        return f"programs/{name}.inr", f"images/{name}.png"

    def _volumes(self, source: Source) -> list[Volume]:
        """Return the images of a source, each read once."""
        if source not in self._images:
            given = str(self.spec.folder / self.spec.image) if self.spec.image else None
            images = [{"path": given}] if given and source.kind == "program" else []
            if source.kind == "model":
                moved = {"path": given} if given else {}
                images = [{**image, **moved} for image in source.content.images]
            hint = "Name it in the sweep's description: image = FILE."
            self._images[source] = [load_source(image, hint) for image in images]
        return self._images[source]

    def _write(self, point: Point, workload: Workload) -> None:
        """Write a program and its picture, and the picture of the source image."""
        program, image = (self.folder / name for name in self.files(point))
        if workload.program is not None:
            make_folder(program.parent)
            workload.program.save(program)
        pictures = {image: workload.decoded}
        if point.source is self.spec.sources[0]:
            pictures[image.with_name("source.png")] = workload.original
        for path, plane in pictures.items():
            if plane is not None:
                make_folder(path.parent)
                save_plane_png(path, plane, 0.0, 1.0)
