"""The golden model: a program rendered in exact integers, whatever carries them.

Numpy multiplies integer matrices an order of magnitude slower than floating-point ones, so sums
of products travel in float32 or float64 wherever the program's own proven ranges say that no
partial sum, in any order, leaves the integers which that type holds exactly.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from implicore.errors import BadInput
from implicore.fixed import COORDINATE, OFFSET_FRACTION, phase_address, requantize
from implicore.grid import Grid
from implicore.job import GridJob
from implicore.program import Layer, Program
from implicore.sincos import SineTable

BLOCK = 2048
"""Points decoded at a time: the activations of a layer then stay in the second-level cache."""


class Renderer:
    """Decodes any points of a program, bit for bit as the hardware does.

    Parameters
    ----------
    program : Program
    """

    def __init__(self, program: Program):
        self.program = program
        formats = program.formats
        table = SineTable(formats.table_address_bits, formats.activation_bits)
        self._cosines = table.cosines.astype(np.float32)
        self._sines = table.sines.astype(np.float32)
        last = program.shape.depth - 1
        self._layers = [
            _Stage(
                layer,
                formats.activation_max,
                formats.output_max if number == last else formats.activation_max,
            )
            for number, layer in enumerate(program.layers)
        ]

    def voxels(self, coordinates: np.ndarray) -> np.ndarray:
        """Decode points.

        Parameters
        ----------
        coordinates : integer array, shape (points, 3)
            In ``fixed.COORDINATE`` units.

        Returns
        -------
        uint16 array, shape (points,), values 0 to ``formats.output_max``.
        """
        coordinates = np.asarray(coordinates)
        if coordinates.ndim != 2 or coordinates.shape[1] != 3:
            raise BadInput(f"Points must have the shape (points, 3), not {coordinates.shape}.")
        if not COORDINATE.holds(coordinates):
            raise BadInput(
                f"Coordinates must lie from {COORDINATE.low} to {COORDINATE.high}, but reach "
                f"from {coordinates.min()} to {coordinates.max()}."
            )
        voxels = np.empty(len(coordinates), np.uint16)
        for start in range(0, len(coordinates), BLOCK):
            block = slice(start, start + BLOCK)
            voxels[block] = self._decode(coordinates[block])
        return voxels

    def _decode(self, coordinates: np.ndarray) -> np.ndarray:
        """One block: arrays are (neurons, points) throughout."""
        features = self.features(coordinates)
        activations = features
        for stage, size in zip(self._layers, self.program.shape.layers, strict=True):
            if size.features and size.hidden:
                activations = np.concatenate([features, activations])
            activations = stage(activations)
        return activations[0]

    def features(self, coordinates: np.ndarray) -> np.ndarray:
        """Features of a block of points, integers in float32, shape (2 L, points)."""
        program = self.program
        phases = phase_address(
            program.frequencies, coordinates, program.formats.table_address_bits
        ).astype(np.intp)
        features = np.empty((program.shape.features, len(coordinates)), np.float32)
        np.take(self._cosines, phases, out=features[: program.shape.frequencies], mode="clip")
        np.take(self._sines, phases, out=features[program.shape.frequencies :], mode="clip")
        return features

    def points(self, millimetres: np.ndarray) -> np.ndarray:
        """Decode free points given in world mm, shape (points, 3); each is rounded once."""
        coordinates = self.program.frame.coordinates(millimetres)
        if not np.isfinite(coordinates).all():
            raise BadInput("Points must be finite numbers.")
        if coordinates.size and np.abs(coordinates).max() > -COORDINATE.low * COORDINATE.step:
            raise BadInput(
                f"Points must lie within {-COORDINATE.low * COORDINATE.step:g} frame extents of "
                f"its centre, not {np.abs(coordinates).max():.3g}."
            )
        return self.voxels(COORDINATE.quantize(coordinates))

    def render(
        self,
        grid: Grid,
        convert: Callable[[np.ndarray], np.ndarray] | None = None,
        advance: Callable[[int], None] = lambda voxels: None,
    ) -> np.ndarray:
        """Decode every voxel of a grid.

        Parameters
        ----------
        grid : Grid
        convert : function of a uint16 array, optional
            Applied to each block, so that a large volume never exists in a wide type.
        advance : function of an int, optional
            Told the number of voxels done since the last call.

        Returns
        -------
        array of the grid's shape, uint16 or what ``convert`` returns.
        """
        job = GridJob.of(grid, self.program.frame)
        convert = convert or (lambda voxels: voxels)
        flat = np.empty(job.voxels, convert(np.zeros(1, np.uint16)).dtype)
        for start in range(0, job.voxels, BLOCK):
            stop = min(start + BLOCK, job.voxels)
            flat[start:stop] = convert(self.voxels(job.coordinates(start, stop)))
            advance(stop - start)
        return flat.reshape(grid.shape, order="F")


class _Stage:
    """One layer, its weights in the narrowest type that keeps every partial sum exact.

    Where float32 does not, the inputs are split into chunks that it does hold, and the chunks'
    sums are added in float64.
    """

    MAX_CHUNKS = 2  # beyond two passes in float32, one in float64 is as fast

    def __init__(self, layer: Layer, activation_max: int, high: int):
        self.high = high
        self.layer = layer
        weights = layer.weights.astype(np.int64)
        self.slices = None
        for chunks in range(1, self.MAX_CHUNKS + 1):
            edges = np.linspace(0, weights.shape[1], chunks + 1).astype(int)
            slices = [slice(a, b) for a, b in zip(edges[:-1], edges[1:], strict=True) if a < b]
            if all(_reach(weights[:, part], activation_max) <= 1 << 24 for part in slices):
                self.slices, carrier = slices, np.float32
                break
        else:
            self.slices, carrier = [slice(None)], np.float64
        self.weights = [
            np.ascontiguousarray(weights[:, part].astype(carrier)) for part in self.slices
        ]
        # The requantizer in float64: exact while the scaled sum and the offset share 53 bits.
        self.shift = layer.shifts[:, None]
        scale = np.ldexp(layer.multipliers.astype(np.float64), -layer.shifts)
        low, top = layer.accumulator_range(activation_max)
        reach = np.maximum(-low, top).astype(object) * layer.multipliers
        spread = np.abs(layer.offsets).astype(object) << (
            np.maximum(layer.shifts - OFFSET_FRACTION, 0)
        ).astype(object)
        self.scale = None
        if (reach + spread <= 1 << 53).all():
            self.scale = scale[:, None]
            self.offset = layer.offsets[:, None] * 2.0**-OFFSET_FRACTION

    def __call__(self, activations: np.ndarray) -> np.ndarray:
        """Activations (inputs, points) to (outputs, points), integers carried in float32."""
        carrier = self.weights[0].dtype
        sums = self.weights[0] @ activations[self.slices[0]].astype(carrier, copy=False)
        for weights, part in zip(self.weights[1:], self.slices[1:], strict=True):
            sums = sums.astype(np.float64)
            sums += weights @ activations[part]
        layer = self.layer
        if self.scale is None:
            constants = (layer.multipliers[:, None], layer.offsets[:, None], self.shift)
            return requantize(sums.astype(np.int64), *constants, self.high).astype(np.float32)
        scaled = np.multiply(sums, self.scale, dtype=np.float64)
        scaled += self.offset
        np.floor(scaled, out=scaled)
        return np.clip(scaled, 0, self.high, out=scaled).astype(np.float32)


def _reach(weights: np.ndarray, activation_max: int) -> int:
    """The greatest magnitude of any partial sum."""
    negative = -np.minimum(weights, 0).sum(axis=1).min(initial=0)
    positive = np.maximum(weights, 0).sum(axis=1).max(initial=0)
    return int(max(negative, positive)) * activation_max
