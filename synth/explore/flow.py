"""What workers do for a sweep: compile, characterize, predict, synthesize."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from implicore.accelerator_config import AcceleratorConfig
from implicore.atomic import write_json
from implicore.cache import cached
from implicore.digest import source_digest
from implicore.errors import BadInput
from implicore.formats import Formats
from implicore.model.checkpoint import image_digest
from implicore.model.compiler import compile_model
from implicore.model.golden import Renderer
from implicore.model.metrics import psnr
from implicore.model.volume import Volume
from implicore.network_shape import NetworkShape
from implicore.program import Program
from implicore.sim.picture import sample
from implicore.synth import synthesis, target, yosys

from . import fpga_resources, predict, unit_costs
from .samples import FLOW
from .space import Source
from .workers import sentence

NAN = float("nan")


@dataclass(frozen=True)
class Workload:
    """What accelerators of some formats decode.

    Attributes
    ----------
    shape : NetworkShape
    program : Program or None
        None for a preset's bare shape: then there are no metrics of energy and quality.
    psnr_db : float
        Of the program against its image; NaN if there is none.
    decoded, original : float array of shape (columns, rows), or None
        The middle axial plane, 0 to 1 over the program's intensities.
    """

    shape: NetworkShape
    program: Program | None = None
    psnr_db: float = NAN
    decoded: np.ndarray | None = None
    original: np.ndarray | None = None


def prepare(source: Source, formats: Formats | None, volumes: list[Volume]) -> Workload:
    """Compile a model, and decode the middle of its image.

    Parameters
    ----------
    source : Source
    formats : Formats or None
        Of the program; None for what needs no compiling.
    volumes : list of Volume
        The images of a model, that of a program or none.
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
    """Return the PSNR in dB that ``render --image`` reports."""
    if not volumes:
        return NAN
    (volume,), program = volumes, source.content
    if volume.grid.shape != program.grid.shape:
        raise BadInput(
            f"The image has {volume.grid.shape} voxels, and {source.name} {program.grid.shape}."
        )
    low, high = volume.intensity_range
    top = program.formats.output_max
    values = program.intensity.values(np.arange(top + 1), top).astype(np.float32)
    decoded = Renderer(program).render(program.grid, values.__getitem__)
    return psnr(volume.data, decoded, high - low)


def characterize(
    config: AcceleratorConfig, name: str, program: Program | None
) -> unit_costs.UnitCosts:
    """The unit costs of a configuration's family on the target of that name."""
    return unit_costs.characterize(config, target.find(name), program)


def predict_all(
    points: list[tuple[str, AcceleratorConfig]],
    shape: NetworkShape,
    found: unit_costs.UnitCosts,
    fits: str | None,
) -> list[dict]:
    """Metrics of each point, or its ``error``; with ``fits`` whether it fits that device."""
    records = []
    for identity, config in points:
        try:
            record = predict.predict(config, shape, found)
            if fits:
                record["fits"] = fpga_resources.fits(config, fits)
        except Exception as error:  # noqa: BLE001 - one point's failure is one row
            record = {"error": sentence(error)}
        records.append({"point": identity, **record})
    return records


def synthesized(config: AcceleratorConfig, name: str, program: Program | None) -> dict:
    """``synthesis.synthesize``'s metrics, from the cache if this was ever done before."""

    def make(folder: Path) -> None:
        synthesis.synthesize(config, name, folder, program=program)
        (folder / "netlist.v").unlink()

    library = target.find(name)
    described = target.FOLDER / f"{name}.toml" if name in target.names() else Path(name)
    inputs = {
        "configuration": config.to_dict(),
        "program": program.digest if program else "",
        "library": [described, library.liberty, *library.macro_files],
        "code": source_digest(*FLOW),
        "yosys": yosys.version(),
    }
    folder = cached("synthesized", inputs, make)
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))
