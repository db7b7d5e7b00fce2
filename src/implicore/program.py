"""Programs: compiled images. ``program_file`` defines the file that holds one."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from . import program_file
from .atomic import atomic_write
from .errors import BadInput
from .fixed import FREQUENCY, SHIFT_BITS, signed_bits
from .formats import Formats
from .grid import Frame, Grid
from .network_shape import NetworkShape
from .patch import POINT, Lattice, Patch, check_patch_fits, checked_patch, patch_name
from .program_file import Section

VOXEL_TYPES = ("uint8", "int8", "uint16", "int16", "int32", "float32", "float64")


@dataclass(frozen=True)
class Intensity:
    """The scale from a voxel's integer to the image's own units, such as Hounsfield units.

    Parameters
    ----------
    low, high : float
        Intensities of the integers 0 and ``Formats.output_max``.
    dtype : str
        Numpy name of the image's voxel type, one of ``VOXEL_TYPES``.

    Raises
    ------
    BadInput
        ``low`` is not below ``high``, one of them is not finite, or the type is not supported.
    """

    low: float
    high: float
    dtype: str

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise BadInput(
                f"The intensity scale must run from a lower to a higher finite number, "
                f"not from {self.low} to {self.high}."
            )
        if self.dtype not in VOXEL_TYPES:
            raise BadInput(
                f"The voxel type must be one of {', '.join(VOXEL_TYPES)}, not {self.dtype!r}."
            )

    def values(self, voxels: np.ndarray, output_max: int) -> np.ndarray:
        """Return the intensities of decoded integers, float64.

        They are ``low + voxel * ((high - low) / output_max)``.
        """
        return self.low + voxels * ((self.high - self.low) / output_max)


@dataclass(frozen=True)
class Layer:
    """The integers of a fully connected layer.

    Attributes
    ----------
    weights : int16 array, shape (outputs, inputs)
        The inputs are the features, if the layer takes them, then the hidden activations.
    multipliers, offsets, shifts : int64 arrays, shape (outputs,)
        The constants of ``fixed.requantize``.
    """

    weights: np.ndarray
    multipliers: np.ndarray
    offsets: np.ndarray
    shifts: np.ndarray

    def accumulator_range(self, activation_max: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the smallest and largest accumulator of each neuron, int64, shape (outputs,).

        Activations range from 0 to ``activation_max``. Every partial sum, in any order, therefore
        lies between ``activation_max`` times the sum of the negative weights and
        ``activation_max`` times the sum of the positive weights.
        """
        weights = self.weights.astype(np.int64)
        low = np.minimum(weights, 0).sum(axis=1) * activation_max
        high = np.maximum(weights, 0).sum(axis=1) * activation_max
        return low, high


@dataclass(frozen=True, eq=False)
class Program:
    """A compiled image: the network in integers, and the image's geometry and intensity scale.

    Parameters
    ----------
    shape : NetworkShape
    formats : Formats
    frequencies : int16 array, shape (L, 3)
        The Fourier matrix B in ``fixed.FREQUENCY`` units.
    layers : tuple of Layer
        One per layer of ``shape``.
    frame : Frame
        Map from world mm to network coordinates.
    grid : Grid
        The voxels of the source image, which rendering at scale 1 returns.
    intensity : Intensity
    patch : tuple of 3 ints
        The block of voxels that a point decodes to. Its product is the number of outputs.

    Raises
    ------
    BadInput
        The patch does not have as many voxels as the network has outputs, an array has the wrong
        shape, an integer lies outside its format, or an accumulator could overflow.
    """

    shape: NetworkShape
    formats: Formats
    frequencies: np.ndarray
    layers: tuple[Layer, ...]
    frame: Frame
    grid: Grid
    intensity: Intensity
    patch: Patch = POINT

    def __post_init__(self) -> None:
        object.__setattr__(self, "patch", checked_patch(self.patch))
        check_patch_fits(self.patch, self.shape.outputs, images=1)
        for name, array, shape, low, high in self._arrays():
            if array.shape != shape:
                raise BadInput(f"The program's {name} have shape {array.shape}, not {shape}.")
            if array.size and not (low <= array.min() and array.max() <= high):
                raise BadInput(
                    f"The program's {name} must lie from {low} to {high}, "
                    f"but reach from {array.min()} to {array.max()}."
                )
        if self.accumulator_bits > self.formats.accumulator_bits:
            raise BadInput(
                f"The program's accumulators can need {self.accumulator_bits} bits, more than the "
                f"{self.formats.accumulator_bits} of its formats: compile it with accumulator_bits "
                f"of at least {self.accumulator_bits}."
            )

    def _arrays(self) -> Iterator[tuple[str, np.ndarray, tuple[int, ...], int, int]]:
        """Yield each array's name, the array, its shape, and its smallest and largest integer."""
        formats = self.formats
        frequencies = (self.shape.frequencies, 3)
        yield "frequencies", self.frequencies, frequencies, FREQUENCY.low, FREQUENCY.high
        if len(self.layers) != self.shape.depth:
            raise BadInput(f"The program has {len(self.layers)} layers, not {self.shape.depth}.")
        weight = formats.weight_max
        offset = 1 << (formats.offset_bits - 1)
        multiplier = (1, 1) if formats.multiplier_bits == 0 else (0, 2**formats.multiplier_bits - 1)
        for number, (layer, size) in enumerate(zip(self.layers, self.shape.layers, strict=True), 1):
            matrix, vector = (size.outputs, size.inputs), (size.outputs,)
            yield f"weights of layer {number}", layer.weights, matrix, -weight - 1, weight
            yield f"multipliers of layer {number}", layer.multipliers, vector, *multiplier
            yield f"offsets of layer {number}", layer.offsets, vector, -offset, offset - 1
            shifts = (0, (1 << SHIFT_BITS) - 1)
            yield f"shifts of layer {number}", layer.shifts, vector, *shifts

    @cached_property
    def lattice(self) -> Lattice:
        """The patches that tile the source grid."""
        return Lattice(self.grid, self.patch)

    @cached_property
    def accumulator_ranges(self) -> tuple[tuple[int, int], ...]:
        """Smallest and largest accumulator of each layer, proven from the weights."""
        ranges = [layer.accumulator_range(self.formats.activation_max) for layer in self.layers]
        return tuple((int(low.min()), int(high.max())) for low, high in ranges)

    @property
    def accumulator_bits(self) -> int:
        """Accumulator width, including the sign, that no input can overflow."""
        return max(signed_bits(low, high) for low, high in self.accumulator_ranges)

    @cached_property
    def _header(self) -> bytes:
        header: dict[str, object] = {
            "network": self.shape.to_dict(),
            "formats": asdict(self.formats),
            "frame": asdict(self.frame),
            "grid": asdict(self.grid),
            "intensity": asdict(self.intensity),
        }
        if self.patch != POINT:
            header["patch"] = list(self.patch)
        return json.dumps(header, sort_keys=True, separators=(",", ":")).encode()

    def _planes(self) -> list[bytes]:
        arrays = {
            "frequencies": [self.frequencies],
            "weights": [layer.weights for layer in self.layers],
            "multipliers": [layer.multipliers for layer in self.layers],
            "shifts": [layer.shifts for layer in self.layers],
            "offsets": [layer.offsets for layer in self.layers],
        }
        return [
            plane
            for section in _sections(self.shape, self.formats)
            for plane in program_file.to_planes(
                np.concatenate([array.ravel() for array in arrays[section.name]]), section.bits
            )
        ]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content in hexadecimal, independent of the zlib that wrote the file."""
        return program_file.content_digest(self._header, self._planes())

    @property
    def version(self) -> int:
        """Version of the program file."""
        return 1 if self.patch == POINT else 2

    def to_bytes(self) -> bytes:
        """Return the program file; the same program gives the same bytes."""
        return program_file.encode(self.version, self._header, self._planes())

    def save(self, path: str | Path) -> None:
        """Write the program file atomically."""
        with atomic_write(path) as temporary:
            Path(temporary).write_bytes(self.to_bytes())

    @classmethod
    def load(cls, path: str | Path) -> Program:
        """Read a program file.

        Raises
        ------
        BadInput
            The file cannot be read or is not a complete and valid program.
        """
        try:
            with open(path, "rb") as file:
                data = file.read(program_file.MAX_FILE + 1)
        except OSError as error:
            raise BadInput(f"The program {path} cannot be read: {error.strerror}.") from None
        try:
            return cls.from_bytes(data)
        except BadInput as error:
            raise BadInput(f"{path} is not a usable program: {error.clause}") from None

    @classmethod
    def from_bytes(cls, data: bytes) -> Program:
        """Read the output of ``to_bytes``; raise BadInput for anything else."""
        version, header, streams = program_file.decode(data)
        try:
            fields = json.loads(header)
            shape = NetworkShape.from_dict(fields["network"])
            formats = Formats(**fields["formats"])
            centre = tuple(float(value) for value in fields["frame"]["centre"])
            frame = Frame(centre, float(fields["frame"]["extent"]))  # type: ignore[arg-type]
            grid = Grid.from_array(fields["grid"]["shape"], fields["grid"]["affine"])
            intensity = Intensity(
                float(fields["intensity"]["low"]),
                float(fields["intensity"]["high"]),
                fields["intensity"]["dtype"],
            )
            patch = tuple(fields.get("patch", POINT))
        except BadInput:
            raise
        except (ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
            raise BadInput(f"The header cannot be understood ({error}).") from None
        sections = program_file.read_sections(streams, _sections(shape, formats))
        arrays = _arrays(sections, shape, formats)
        program = cls(shape, formats, *arrays, frame, grid, intensity, patch)
        if program._header != header:
            raise BadInput("The header is not in the canonical form.")
        if program.version != version:
            raise BadInput(
                f"The file has format version {version}, but a patch of "
                f"{patch_name(program.patch)} belongs to version {program.version}."
            )
        return program


def _sections(shape: NetworkShape, formats: Formats) -> tuple[Section, ...]:
    """Return the sections of the file in order."""
    neurons = sum(layer.outputs for layer in shape.layers)
    return (
        Section("frequencies", FREQUENCY.bits, True, 3 * shape.frequencies),
        Section("weights", formats.weight_bits, True, shape.weights),
        Section("multipliers", formats.multiplier_bits, False, neurons),
        Section("shifts", SHIFT_BITS, False, neurons),
        Section("offsets", formats.offset_bits, True, neurons),
    )


def _arrays(
    sections: dict[str, np.ndarray], shape: NetworkShape, formats: Formats
) -> tuple[np.ndarray, tuple[Layer, ...]]:
    """Return the frequencies and the layers that the sections of a file hold."""
    if formats.multiplier_bits == 0:
        sections["multipliers"] = np.ones_like(sections["shifts"])
    layers, weight, neuron = [], 0, 0
    for size in shape.layers:
        count = size.inputs * size.outputs
        weights = sections["weights"][weight : weight + count].astype(np.int16)
        vectors = [
            sections[name][neuron : neuron + size.outputs]
            for name in ("multipliers", "offsets", "shifts")
        ]
        layers.append(Layer(weights.reshape(size.outputs, size.inputs), *vectors))
        weight, neuron = weight + count, neuron + size.outputs
    return sections["frequencies"].astype(np.int16).reshape(-1, 3), tuple(layers)
