"""Descriptions of model and program files."""

from __future__ import annotations

from dataclasses import asdict
from os import PathLike
from pathlib import Path

from implicore.errors import BadInput
from implicore.grid import Frame, Grid
from implicore.network_shape import NetworkShape
from implicore.patch import POINT, Patch
from implicore.program import Program
from implicore.program_file import MAGIC

from .checkpoint import Model


def describe(path: str | PathLike[str]) -> dict:
    """Describe a model or program file.

    Returns
    -------
    dict
        Values by name, in the order to print them: kind, network, formats, geometry, intensities,
        training or digest, and size.

    Raises
    ------
    BadInput
        The file cannot be read or is neither a model nor a program.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            is_program = file.read(len(MAGIC)) == MAGIC
        size = path.stat().st_size
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from None
    return _program(Program.load(path), size) if is_program else _model(Model.load(path), size)


def _model(model: Model, size: int) -> dict:
    return {
        "kind": "model",
        **_network(model.shape, model.patch),
        "sigma": model.sigma,
        **_geometry(model.grids[0], model.frame),
        **asdict(model.intensity),
        "images": [image["name"] for image in model.images],
        **model.training,
        "bytes": size,
        "bits_per_voxel": 8 * size / sum(grid.voxels for grid in model.grids),
    }


def _program(program: Program, size: int) -> dict:
    return {
        "kind": "program",
        **_network(program.shape, program.patch),
        "formats": str(program.formats),
        **asdict(program.formats),
        "accumulator_bits_needed": program.accumulator_bits,
        **_geometry(program.grid, program.frame),
        **asdict(program.intensity),
        "digest": program.digest,
        "bytes": size,
        "bits_per_voxel": 8 * size / program.grid.voxels,
    }


def _network(shape: NetworkShape, patch: Patch) -> dict:
    return {
        **shape.to_dict(),
        **({} if patch == POINT else {"patch": list(patch)}),
        "parameters": shape.parameters,
        "multiply_accumulates_per_voxel": shape.weights if patch == POINT else shape.macs_per_voxel,
    }


def _geometry(grid: Grid, frame: Frame) -> dict:
    return {
        "voxels": list(grid.shape),
        "voxel_size_mm": list(grid.voxel_size),
        "affine": [list(row) for row in grid.affine],
        "frame_centre_mm": list(frame.centre),
        "frame_extent_mm": frame.extent,
    }
