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
from implicore.job import GridJob, checked_points
from implicore.program import Layer, Program
from implicore.sincos import SineTable

EXACT_FLOAT32, EXACT_FLOAT64 = 1 << 24, 1 << 53
"""Magnitudes up to which a type holds every integer."""

MAX_VOXELS = 1 << 32
"""Voxels of one volume, 1,625 along each axis: a mistyped scale must not take all memory."""

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
        coordinates = checked_points(coordinates)
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
        if grid.voxels > MAX_VOXELS:
            raise BadInput(
                f"The grid has {grid.voxels} voxels, more than the {MAX_VOXELS} that are "
                "decoded at once: choose a smaller scale, or render it in parts."
            )
        job = GridJob.of(grid, self.program.frame)
        convert = convert or (lambda voxels: voxels)
        flat = np.empty(job.voxels, convert(np.zeros(1, np.uint16)).dtype)
        for start in range(0, job.voxels, BLOCK):
            stop = min(start + BLOCK, job.voxels)
            flat[start:stop] = convert(self.voxels(job.coordinates(start, stop)))
            advance(stop - start)
        return flat.reshape(grid.shape, order="F")


class _Stage:
    """One layer in the narrowest arithmetic that keeps every partial sum exact.

    Scaled by powers of two and by small multipliers, weights stay exact, so that most often one
    product in float32 gives results that only need a floor and the saturation. Where the sums fit
    float32, if need be in two chunks, but their rescaling does not, that is done in float64; where
    the sums do not, everything is; and the widest formats rescale in integers.
    """

    MAX_CHUNKS = 2  # beyond two passes in float32, one in float64 is as fast

    def __init__(self, layer: Layer, activation_max: int, high: int):
        self.layer, self.high = layer, high
        weights = layer.weights.astype(np.float64)
        low, top = layer.accumulator_range(activation_max)
        ahead = np.maximum(OFFSET_FRACTION - layer.shifts, 0)
        behind = np.maximum(layer.shifts - OFFSET_FRACTION, 0)
        reach = np.ldexp(np.maximum(-low, top) * layer.multipliers.astype(np.float64), ahead)
        reach = (reach + np.ldexp(np.abs(layer.offsets).astype(np.float64), behind)).max()
        scale = np.ldexp(layer.multipliers.astype(np.float64), -layer.shifts)[:, None]
        offset = layer.offsets[:, None] * 2.0**-OFFSET_FRACTION

        self.slices, self.scale, self.integers = [slice(None)], None, False
        carrier = np.float64
        if reach <= EXACT_FLOAT32:
            weights, carrier = weights * scale, np.float32
        elif reach >= EXACT_FLOAT64:
            self.integers = True
        else:
            chunks = self._chunks(layer.weights, activation_max)
            if chunks:
                self.slices, self.scale, carrier = chunks, scale, np.float32
            else:
                weights = weights * scale
        self.weights = [np.ascontiguousarray(weights[:, s], dtype=carrier) for s in self.slices]
        self.offset = offset if self.scale is not None else offset.astype(carrier)

    def _chunks(self, weights: np.ndarray, activation_max: int) -> list[slice] | None:
        """The fewest slices of the inputs whose sums float32 holds, or None."""
        weights = weights.astype(np.int64)
        for count in range(1, self.MAX_CHUNKS + 1):
            edges = np.linspace(0, weights.shape[1], count + 1).astype(int)
            slices = [slice(a, b) for a, b in zip(edges[:-1], edges[1:], strict=True)]
            if all(_reach(weights[:, s], activation_max) <= EXACT_FLOAT32 for s in slices):
                return slices
        return None

    def __call__(self, activations: np.ndarray) -> np.ndarray:
        """Activations (inputs, points) to (outputs, points), integers carried in float32."""
        carrier = self.weights[0].dtype
        sums = self.weights[0] @ activations[self.slices[0]].astype(carrier, copy=False)
        if self.integers:
            layer = self.layer
            constants = (v[:, None] for v in (layer.multipliers, layer.offsets, layer.shifts))
            return requantize(sums.astype(np.int64), *constants, self.high).astype(np.float32)
        for weights, part in zip(self.weights[1:], self.slices[1:], strict=True):
            sums = np.add(sums, weights @ activations[part], dtype=np.float64)
        if self.scale is not None:
            sums = np.multiply(sums, self.scale, dtype=np.float64)
        sums += self.offset
        np.floor(sums, out=sums)
        return np.clip(sums, 0, self.high, out=sums).astype(np.float32, copy=False)


def _reach(weights: np.ndarray, activation_max: int) -> int:
    """The greatest magnitude of any partial sum."""
    negative = -np.minimum(weights, 0).sum(axis=1).min(initial=0)
    positive = np.maximum(weights, 0).sum(axis=1).max(initial=0)
    return int(max(negative, positive)) * activation_max
