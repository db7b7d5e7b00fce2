"""The model file: a trained network with everything needed to render or compile it.

The file is in safetensors format: float32 weights, int16 frequencies and one JSON text. It holds no
code, so an untrusted file is safe to load, and reading it does not need torch.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import safetensors
import safetensors.numpy

from implicore.atomic import atomic_write
from implicore.errors import BadInput
from implicore.fixed import FREQUENCY
from implicore.grid import Frame, Grid
from implicore.network_shape import NetworkShape
from implicore.patch import POINT, Patch, check_patch_fits, checked_patch
from implicore.program import Intensity

if TYPE_CHECKING:
    from .volume import Volume

VERSION = 1
_KEY = "implicore"


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network and the image that it represents.

    Parameters
    ----------
    shape : NetworkShape
    sigma : float
        Standard deviation with which B was drawn, in turns per unit of network coordinate.
    frequencies : int64 array, shape (L, 3)
        B, in units of ``implicore.fixed.FREQUENCY``.
    weights : tuple of float32 arrays, shape (outputs, inputs)
        One per layer; the inputs are features first, then hidden activations.
    biases : tuple of float32 arrays, shape (outputs,)
    frame : Frame
        World to network coordinates.
    grids : tuple of Grid
        The grids of the images; the first one is rendered by default.
    intensity : Intensity
        The network's output t represents ``low + t * (high - low)``.
    images : tuple of dicts
        For each image its ``name``, the ``sha256`` of its type, shape, affine and voxels, and the
        fields that the caller of the training added, such as ``path`` and ``crop``.
    training : dict
        Settings and outcome of the training: ``psnr_db``, ``steps``, ``seconds``, ``seed``, ...
    patch : tuple of 3 ints
        The block of voxels that a point decodes to. Larger patches tile one image, see
        ``implicore.patch.Lattice``.
    """

    shape: NetworkShape
    sigma: float
    frequencies: np.ndarray
    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]
    frame: Frame
    grids: tuple[Grid, ...]
    intensity: Intensity
    images: tuple[dict, ...]
    training: dict = field(default_factory=dict)
    patch: Patch = POINT

    def __post_init__(self) -> None:
        object.__setattr__(self, "patch", checked_patch(self.patch))
        if self.frequencies.shape != (self.shape.frequencies, 3):
            raise BadInput("A model's frequencies do not have the shape of its network.")
        if not FREQUENCY.holds(self.frequencies):
            raise BadInput("A model's frequencies exceed the range of their number format.")
        expected = [
            ((layer.outputs, layer.inputs), (layer.outputs,)) for layer in self.shape.layers
        ]
        if [(w.shape, b.shape) for w, b in zip(self.weights, self.biases)] != expected:  # noqa: B905
            raise BadInput("A model's weights do not have the shape of its network.")
        if not all(np.isfinite(array).all() for array in (*self.weights, *self.biases)):
            raise BadInput("A model's weights must be finite numbers.")
        if not self.grids:
            raise BadInput("A model must have the grid of at least one image.")
        check_patch_fits(self.patch, self.shape.outputs, len(self.grids))

    @property
    def bits_per_voxel(self) -> float:
        """Bits of the float32 parameters per voxel of all images."""
        return 32 * self.shape.parameters / sum(grid.voxels for grid in self.grids)

    @property
    def metrics(self) -> dict:
        """Quality and cost of the fit: the metrics of ``implicore fit``."""
        return {
            "psnr_db": self.training["psnr_db"],
            "ssim": self.training["ssim"],
            "parameters": self.shape.parameters,
            "bits_per_voxel": self.bits_per_voxel,
            "seconds": self.training["seconds"],
            "steps": self.training["steps"],
            "sigma": self.sigma,
        }

    def save(self, path: str | PathLike[str]) -> None:
        """Write the model file atomically. The same model gives the same bytes."""
        tensors = {"frequencies": self.frequencies.astype(np.int16)}
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True), 1):
            tensors[f"layer{number:02}.weight"] = weight
            tensors[f"layer{number:02}.bias"] = bias
        header = {
            "kind": "model",
            "shape": self.shape.to_dict(),
            "sigma": self.sigma,
            "frame": asdict(self.frame),
            "grids": [asdict(grid) for grid in self.grids],
            "intensity": asdict(self.intensity),
            "images": list(self.images),
            "training": self.training,
        }
        if self.patch != POINT:
            header["patch"] = list(self.patch)
        write_tensors(path, tensors, header)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Model:
        """Read a model file; raise BadInput if it is damaged or not a model file."""
        tensors, header = read_tensors(path, kind="model")
        try:
            shape = NetworkShape.from_dict(header["shape"])
            layers = [f"layer{number:02}" for number in range(1, shape.depth + 1)]
            return cls(
                shape=shape,
                sigma=float(header["sigma"]),
                frequencies=tensors["frequencies"].astype(np.int64),
                weights=tuple(tensors[f"{layer}.weight"].astype(np.float32) for layer in layers),
                biases=tuple(tensors[f"{layer}.bias"].astype(np.float32) for layer in layers),
                frame=Frame(tuple(header["frame"]["centre"]), header["frame"]["extent"]),
                grids=tuple(Grid.from_array(g["shape"], g["affine"]) for g in header["grids"]),
                intensity=Intensity(**header["intensity"]),
                images=tuple(header["images"]),
                training=dict(header["training"]),
                patch=tuple(header.get("patch", POINT)),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BadInput(f"{path} is a damaged model file.") from error


def image_digest(volume: Volume) -> str:
    """Return the SHA-256 of a volume's type, shape, affine and voxels, in hexadecimal."""
    data = np.ascontiguousarray(volume.data)
    digest = hashlib.sha256(f"{data.dtype.name} {data.shape}".encode())
    digest.update(volume.grid.matrix.astype("<f8").tobytes())
    digest.update(data.astype(data.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()


def write_tensors(path: str | PathLike[str], tensors: dict[str, np.ndarray], header: dict) -> None:
    """Write named arrays and a JSON header with a digest of both, atomically."""
    tensors = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    header = {"version": VERSION, **header}
    text = json.dumps(header, sort_keys=True, allow_nan=False)
    # One key only: safetensors writes several keys in random order.
    text = json.dumps({"digest": _digest(text, tensors), "header": text})
    with atomic_write(path) as temporary:
        temporary.write_bytes(safetensors.numpy.save(tensors, {_KEY: text}))


def read_tensors(path: str | PathLike[str], kind: str) -> tuple[dict[str, np.ndarray], dict]:
    """Read a file of ``write_tensors``; raise BadInput if it is damaged or of another ``kind``."""
    path = Path(path)
    try:
        path.open("rb").close()  # the library's message for a missing file is not a sentence
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = (file.metadata() or {}).get(_KEY)
            if metadata is None:
                raise BadInput(f"{path} is not a {kind} file of implicore.")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        envelope = json.loads(metadata)
        header = json.loads(envelope["header"])
        intact = envelope["digest"] == _digest(envelope["header"], tensors)
    except BadInput:
        raise
    except OSError as error:
        reason = (error.strerror or str(error)).lower().rstrip(".")
        raise BadInput(f"{path} cannot be read: {reason}.") from error
    except safetensors.SafetensorError as error:
        raise BadInput(f"{path} is not a {kind} file of implicore, or it is damaged.") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"{path} is a damaged {kind} file.") from error
    if not intact:
        raise BadInput(f"{path} is a damaged {kind} file.")
    if header.get("kind") != kind:
        raise BadInput(f"{path} is not a {kind} file of implicore.")
    if header.get("version") != VERSION:
        raise BadInput(
            f"{path} has version {header.get('version')}, but this release reads version {VERSION}."
        )
    return tensors, header


def _digest(text: str, tensors: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(f"{name} {array.dtype.name} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
