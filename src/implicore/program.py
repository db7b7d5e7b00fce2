"""Programs: a compiled image as one safe, versioned file.

``docs/numerics.md`` describes the file byte by byte and what its integers mean.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
import zlib
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from .atomic import atomic_write
from .errors import BadInput
from .fixed import FREQUENCY, SHIFT_BITS, signed_bits
from .formats import Formats
from .grid import Frame, Grid
from .network_shape import NetworkShape

MAGIC = b"INRPROG\0"
VERSION = 1
PREFIX = struct.Struct("<8sII")  # magic, version, bytes of the header
CHECK_BYTES = hashlib.sha256().digest_size
MAX_HEADER = 1 << 16
VOXEL_TYPES = ("uint8", "int8", "uint16", "int16", "int32", "float32", "float64")


@dataclass(frozen=True)
class Intensity:
    """What a voxel's integer means in the image's own units, Hounsfield units for a CT.

    Parameters
    ----------
    low, high : float
        Values of the integers 0 and ``Formats.output_max``.
    dtype : str
        Numpy name of the image's voxel type, one of ``VOXEL_TYPES``.
    """

    low: float
    high: float
    dtype: str

    def __post_init__(self):
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
        """Intensities of decoded integers, in float64: ``low + voxel * (high - low) / max``."""
        return self.low + voxels * ((self.high - self.low) / output_max)


@dataclass(frozen=True)
class Layer:
    """The integers of one fully connected layer.

    Attributes
    ----------
    weights : int16 array, shape (outputs, inputs)
        Inputs are features first, hidden activations after them.
    multipliers, offsets, shifts : int64 arrays, shape (outputs,)
        The requantizer's constants, see ``fixed.requantize``.
    """

    weights: np.ndarray
    multipliers: np.ndarray
    offsets: np.ndarray
    shifts: np.ndarray

    def accumulator_range(self, activation_max: int) -> tuple[np.ndarray, np.ndarray]:
        """The least and greatest sum of each neuron over all activations, partial sums too.

        Activations run from 0 to ``activation_max``, so every partial sum in any order lies
        between the sum of the negative and the sum of the positive weights times that maximum.
        """
        weights = self.weights.astype(np.int64)
        low = np.minimum(weights, 0).sum(axis=1) * activation_max
        high = np.maximum(weights, 0).sum(axis=1) * activation_max
        return low, high


@dataclass(frozen=True, eq=False)
class Program:
    """A compiled image: the network in integers and where and what its voxels are.

    Parameters
    ----------
    shape : NetworkShape
    formats : Formats
    frequencies : int16 array, shape (L, 3)
        The Fourier matrix B in ``fixed.FREQUENCY`` units.
    layers : tuple of Layer
        One a layer of ``shape``.
    frame : Frame
        World mm to network coordinates.
    grid : Grid
        The source image's own voxels: what rendering at scale 1 returns.
    intensity : Intensity

    Raises
    ------
    BadInput
        An array of the wrong shape, an integer outside its format, or a neuron whose sum could
        overflow the accumulator.
    """

    shape: NetworkShape
    formats: Formats
    frequencies: np.ndarray
    layers: tuple[Layer, ...]
    frame: Frame
    grid: Grid
    intensity: Intensity

    def __post_init__(self):
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
                f"The program's sums can need {self.accumulator_bits} bits, "
                f"but its accumulator_bits are {self.formats.accumulator_bits}."
            )

    def _arrays(self):
        """Every array with its name, its shape and the least and greatest legal integer."""
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
    def accumulator_ranges(self) -> tuple[tuple[int, int], ...]:
        """The least and greatest sum of each layer, proven from its weights."""
        ranges = [layer.accumulator_range(self.formats.activation_max) for layer in self.layers]
        return tuple((int(low.min()), int(high.max())) for low, high in ranges)

    @property
    def accumulator_bits(self) -> int:
        """Bits, sign included, of an accumulator that no input can overflow."""
        return max(signed_bits(low, high) for low, high in self.accumulator_ranges)

    # The file -----------------------------------------------------------------------------------

    @cached_property
    def _header(self) -> bytes:
        header = {
            "network": asdict(self.shape),
            "formats": asdict(self.formats),
            "frame": asdict(self.frame),
            "grid": asdict(self.grid),
            "intensity": asdict(self.intensity),
        }
        return json.dumps(header, sort_keys=True, separators=(",", ":")).encode()

    def _planes(self) -> list[bytes]:
        """The file's planes in order: for each section, the highest bits of all, and so on."""
        sections = {
            "frequencies": [self.frequencies],
            "weights": [layer.weights for layer in self.layers],
            "multipliers": [layer.multipliers for layer in self.layers],
            "shifts": [layer.shifts for layer in self.layers],
            "offsets": [layer.offsets for layer in self.layers],
        }
        planes = []
        for name, bits, _, _ in _sections(self.shape, self.formats):
            values = np.concatenate([array.ravel() for array in sections[name]]).astype(np.int64)
            for low, width in _slices(bits):
                part = ((values >> low) & ((1 << width) - 1)).astype(np.uint8)
                packed = low == 0 and bits > 8
                planes.append(_pack(part, width) if packed else part.tobytes())
        return planes

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything the program says, as hexadecimal; the same for any zlib."""
        content = hashlib.sha256(self._header)
        for plane in self._planes():
            content.update(plane)
        return content.hexdigest()

    def to_bytes(self) -> bytes:
        """The program file: the same program always gives the same bytes."""
        parts = [PREFIX.pack(MAGIC, VERSION, len(self._header)), self._header]
        for plane in self._planes():
            stream = _compress(plane)
            parts += [struct.pack("<I", len(stream)), stream]
        body = b"".join(parts)
        return body + hashlib.sha256(body).digest()

    def save(self, path: str | Path) -> None:
        """Write the program file, whole or not at all."""
        with atomic_write(path) as temporary:
            Path(temporary).write_bytes(self.to_bytes())

    @classmethod
    def load(cls, path: str | Path) -> Program:
        """Read a program file; BadInput if it is anything but a whole and sound one."""
        try:
            with open(path, "rb") as file:
                data = file.read(MAX_FILE + 1)
        except OSError as error:
            raise BadInput(f"The program {path} cannot be read: {error.strerror}.") from None
        try:
            return cls.from_bytes(data)
        except BadInput as error:
            raise BadInput(f"{path} is not a usable program: {error}") from None

    @classmethod
    def from_bytes(cls, data: bytes) -> Program:
        """The program that ``to_bytes`` wrote; BadInput for anything else."""
        if not data.startswith(MAGIC):
            raise BadInput("It does not begin like an implicore program.")
        if len(data) > MAX_FILE:
            raise BadInput(f"It is larger than the limit of {MAX_FILE} bytes.")
        if len(data) < PREFIX.size + CHECK_BYTES:
            raise BadInput("It is cut short.")
        _, version, header_bytes = PREFIX.unpack_from(data)
        if version != VERSION:
            raise BadInput(f"Its version is {version}, and this release reads {VERSION}.")
        body = data[:-CHECK_BYTES]
        if hashlib.sha256(body).digest() != data[-CHECK_BYTES:]:
            raise BadInput("Its checksum does not match: it is damaged or cut short.")
        if header_bytes > min(MAX_HEADER, len(body) - PREFIX.size):
            raise BadInput("Its header is too long.")
        streams = PREFIX.size + header_bytes
        try:
            header = json.loads(body[PREFIX.size : streams])
            network = dict(header["network"])
            network["skips"] = tuple(network["skips"])
            shape, formats = NetworkShape(**network), Formats(**header["formats"])
            centre = tuple(float(value) for value in header["frame"]["centre"])
            frame = Frame(centre, float(header["frame"]["extent"]))
            grid = Grid.from_array(header["grid"]["shape"], header["grid"]["affine"])
            intensity = Intensity(
                float(header["intensity"]["low"]),
                float(header["intensity"]["high"]),
                header["intensity"]["dtype"],
            )
        except BadInput:
            raise
        except (ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
            raise BadInput(f"Its header cannot be understood ({error}).") from None
        arrays = _read_arrays(body[streams:], shape, formats)
        program = cls(shape, formats, *arrays, frame, grid, intensity)
        if program._header != body[PREFIX.size : streams]:
            raise BadInput("Its header is not in the canonical form.")
        return program


MAX_FILE = 1 << 26
"""Bytes; beyond any network within ``config.MAX_WEIGHTS``."""


def _sections(shape: NetworkShape, formats: Formats):
    """Name, bits, signedness and number of integers of each section of the file, in order."""
    neurons = sum(layer.outputs for layer in shape.layers)
    yield "frequencies", FREQUENCY.bits, True, 3 * shape.frequencies
    yield "weights", formats.weight_bits, True, shape.weights
    yield "multipliers", formats.multiplier_bits, False, neurons
    yield "shifts", SHIFT_BITS, False, neurons
    yield "offsets", formats.offset_bits, True, neurons


def _slices(bits: int) -> list[tuple[int, int]]:
    """Lowest bit and width of each plane of integers of so many bits, the highest plane first.

    The highest 8 bits hold what can be compressed; the last plane has what remains, 1 to 8 bits.
    """
    lows = range(bits - 8, 0, -8)
    return [(low, 8) for low in lows] + ([(0, bits - 8 * len(lows))] if bits else [])


def _pack(values: np.ndarray, width: int) -> bytes:
    """Unsigned integers of ``width`` bits one after the other, the highest bit first."""
    bits = np.unpackbits(values[:, None], axis=1)[:, 8 - width :]
    return np.packbits(bits.ravel()).tobytes()


def _unpack(octets: np.ndarray, width: int, count: int) -> np.ndarray:
    """The integers that ``_pack`` was given, as uint8."""
    bits = np.unpackbits(octets, count=width * count).reshape(count, width)
    return np.packbits(np.pad(bits, ((0, 0), (8 - width, 0))), axis=1)[:, 0]


def _compress(plane: bytes) -> bytes:
    """The shortest of three zlib streams: as it is, by byte frequencies, or with strings as well.

    Weights have no strings to find, and a pure Huffman code comes within about one percent of
    their entropy; constant planes are where the search for strings pays.
    """
    streams = []
    for level, strategy in (
        (0, zlib.Z_DEFAULT_STRATEGY),
        (9, zlib.Z_HUFFMAN_ONLY),
        (9, zlib.Z_DEFAULT_STRATEGY),
    ):
        compressor = zlib.compressobj(level, zlib.DEFLATED, 15, 9, strategy)
        streams.append(compressor.compress(plane) + compressor.flush())
    return min(streams, key=len)


def _read_arrays(data: bytes, shape: NetworkShape, formats: Formats):
    """The frequencies and layers of a file's streams, which must hold exactly what is due."""
    position = 0

    def plane(count: int) -> np.ndarray:
        nonlocal position
        (length,) = struct.unpack_from("<I", data, position)
        stream = data[position + 4 : position + 4 + length]
        position += 4 + length
        decompressor = zlib.decompressobj()
        octets = decompressor.decompress(stream, count + 1)
        whole = decompressor.eof and not decompressor.unused_data
        if len(octets) != count or not whole or len(stream) != length:
            raise BadInput("Its integers are not as many as its header says.")
        return np.frombuffer(octets, np.uint8)

    sections = {}
    try:
        for name, bits, signed, count in _sections(shape, formats):
            values = np.zeros(count, np.int64)
            for low, width in _slices(bits):
                if low == 0 and bits > 8:
                    part = _unpack(plane(-(-width * count // 8)), width, count)
                else:
                    part = plane(count)
                values |= part.astype(np.int64) << low
            if signed:
                values = (values ^ (1 << (bits - 1))) - (1 << (bits - 1))
            sections[name] = values
    except (struct.error, zlib.error):
        raise BadInput("Its integers cannot be decoded.") from None
    if position != len(data):
        raise BadInput("It holds more than its header says.")
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
    frequencies = sections["frequencies"].astype(np.int16).reshape(-1, 3)
    return frequencies, tuple(layers)
