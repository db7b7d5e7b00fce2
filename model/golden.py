"""The golden model: decodes programs in exact integer arithmetic.

Numpy multiplies integer matrices an order of magnitude slower than floating-point matrices. If the
program's proven accumulator ranges show that float32 or float64 represents every partial sum
exactly, in any order, the products are therefore computed in that type.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from implicore.errors import BadInput
from implicore.fixed import COORDINATE, OFFSET_FRACTION, phase_address, requantize
from implicore.grid import MAX_VOXELS, Grid
from implicore.job import GridJob, checked_points
from implicore.patch import POINT, Lattice, join_patches
from implicore.program import Layer, Program
from implicore.sincos import SineTable

from .resampling import Resampler

EXACT_FLOAT32, EXACT_FLOAT64 = 1 << 24, 1 << 53
"""Magnitude up to which the type represents every integer."""

BLOCK = 2048
"""Points decoded at a time: the activations of a layer then stay in the second-level cache."""


class Renderer:
    """Decode points of a program, bit for bit as the hardware does.

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
            _ExactLayer(
                layer,
                formats.activation_max,
                formats.output_max if number == last else formats.activation_max,
            )
            for number, layer in enumerate(program.layers)
        ]

    def voxels(self, coordinates: np.ndarray) -> np.ndarray:
        """Decode points given in network coordinates.

        Parameters
        ----------
        coordinates : integer array, shape (points, 3)
            In ``fixed.COORDINATE`` units.

        Returns
        -------
        uint16 array, shape (points * outputs,)
            Voxels, 0 to ``formats.output_max``, point after point as the hardware delivers them.

        Raises
        ------
        BadInput
            The array has another shape, or a coordinate is out of range.
        """
        coordinates = checked_points(coordinates)
        voxels = np.empty((len(coordinates), self.program.shape.outputs), np.uint16)
        for start in range(0, len(coordinates), BLOCK):
            block = slice(start, start + BLOCK)
            voxels[block] = self._decode(coordinates[block]).T
        return voxels.ravel()

    def _decode(self, coordinates: np.ndarray) -> np.ndarray:
        """Decode one block of points; arrays have the shape (neurons, points)."""
        features = self.features(coordinates)
        activations = features
        for stage, size in zip(self._layers, self.program.shape.layers, strict=True):
            if size.features and size.hidden:
                activations = np.concatenate([features, activations])
            activations = stage(activations)
        return activations

    def features(self, coordinates: np.ndarray) -> np.ndarray:
        """Return the features of a block of points, integers in float32, shape (2 L, points)."""
        program = self.program
        phases = phase_address(
            program.frequencies, coordinates, program.formats.table_address_bits
        ).astype(np.intp)
        features = np.empty((program.shape.features, len(coordinates)), np.float32)
        np.take(self._cosines, phases, out=features[: program.shape.frequencies], mode="clip")
        np.take(self._sines, phases, out=features[program.shape.frequencies :], mode="clip")
        return features

    def points(self, millimetres: np.ndarray) -> np.ndarray:
        """Decode one voxel for each point given in world mm, shape (points, 3).

        Each coordinate is rounded once. If the program has patches, the points are interpolated,
        see ``resampling``.

        Raises
        ------
        BadInput
            A point is not finite or exceeds the range of the coordinate format.
        """
        coordinates = self.program.frame.coordinates(millimetres)
        if not np.isfinite(coordinates).all():
            raise BadInput("Points must be finite numbers.")
        if coordinates.size and np.abs(coordinates).max() > -COORDINATE.low * COORDINATE.step:
            raise BadInput(
                f"Points must lie within {-COORDINATE.low * COORDINATE.step:g} frame extents of "
                f"the frame's centre, but one lies {np.abs(coordinates).max():.3g} away."
            )
        if self.program.patch != POINT:
            return Resampler(self.program, self.voxels).points(np.asarray(millimetres))
        return self.voxels(COORDINATE.quantize(coordinates))

    def render(
        self,
        grid: Grid,
        convert: Callable[[np.ndarray], np.ndarray] | None = None,
        advance: Callable[[int], None] = lambda voxels: None,
    ) -> np.ndarray:
        """Decode every voxel of a grid.

        If the program has patches, they are decoded whole for the grid of the source image. Any
        other grid is interpolated from the patches that it needs, see ``resampling``.

        Parameters
        ----------
        grid : Grid
        convert : function of a uint16 array, optional
            Converts each block, so a large volume never exists in a wide type.
        advance : function of an int, optional
            Called with the number of voxels of the grid done since its last call.

        Returns
        -------
        array of the grid's shape
            uint16, or the type that ``convert`` returns.

        Raises
        ------
        BadInput
            The grid has more than ``MAX_VOXELS`` voxels or exceeds the range of the coordinate
            format.
        """
        if grid.voxels > MAX_VOXELS:
            raise BadInput(
                f"The grid has {grid.voxels} voxels, more than the limit of {MAX_VOXELS}: "
                "choose a smaller scale, or render it in parts."
            )
        convert = convert or (lambda voxels: voxels)
        if self.program.patch != POINT and grid != self.program.grid:
            return Resampler(self.program, self.voxels).render(grid, convert, advance)
        lattice = Lattice(grid, self.program.patch)
        volume = np.empty(grid.shape, convert(np.zeros(1, np.uint16)).dtype, order="F")
        start = 0
        for job in GridJob.of(lattice.grid, self.program.frame).parts(BLOCK):
            window = lattice.window(start, job.shape)
            box = join_patches(
                convert(self.voxels(job.coordinates(0, job.voxels))), lattice.patch, job.shape
            )
            part = volume[window]
            part[:] = box[tuple(slice(n) for n in part.shape)]
            start += job.voxels
            advance(part.size)
        return volume


class _ExactLayer:
    """One layer in the fastest arithmetic in which every partial sum is exact.

    Weights scaled by powers of two and by small multipliers remain exact. One product in float32
    therefore usually gives results that need only floor and saturation. Otherwise:

    - If float32 represents the accumulators exactly, if necessary in two chunks of the inputs, but
      not the rescaled values, the rescaling uses float64.
    - If float32 does not represent the accumulators, both use float64.
    - If float64 does not represent the rescaled values, the rescaling uses integers.
    """

    MAX_CHUNKS = 2  # more passes in float32 are slower than one in float64

    def __init__(self, layer: Layer, activation_max: int, high: int):
        self.layer, self.high = layer, high
        weights = layer.weights.astype(np.float64)
        low, top = layer.accumulator_range(activation_max)
        left = np.maximum(OFFSET_FRACTION - layer.shifts, 0)
        right = np.maximum(layer.shifts - OFFSET_FRACTION, 0)
        reach = np.ldexp(np.maximum(-low, top) * layer.multipliers.astype(np.float64), left)
        reach = (reach + np.ldexp(np.abs(layer.offsets).astype(np.float64), right)).max()
        scale = np.ldexp(layer.multipliers.astype(np.float64), -layer.shifts)[:, None]
        offset = layer.offsets[:, None] * 2.0**-OFFSET_FRACTION

        self.slices, self.scale, self.integers = [slice(None)], None, False
        dtype: type[np.floating] = np.float64
        if reach <= EXACT_FLOAT32:
            weights, dtype = weights * scale, np.float32
        elif reach >= EXACT_FLOAT64:
            self.integers = True
        else:
            chunks = self._chunks(layer.weights, activation_max)
            if chunks:
                self.slices, self.scale, dtype = chunks, scale, np.float32
            else:
                weights = weights * scale
        self.weights = [np.ascontiguousarray(weights[:, s], dtype=dtype) for s in self.slices]
        self.offset = offset if self.scale is not None else offset.astype(dtype)

    def _chunks(self, weights: np.ndarray, activation_max: int) -> list[slice] | None:
        """Return the fewest slices of the inputs whose sums are exact in float32, or None."""
        weights = weights.astype(np.int64)
        for count in range(1, self.MAX_CHUNKS + 1):
            edges = np.linspace(0, weights.shape[1], count + 1).astype(int)
            slices = [slice(a, b) for a, b in zip(edges[:-1], edges[1:], strict=True)]
            if all(_reach(weights[:, s], activation_max) <= EXACT_FLOAT32 for s in slices):
                return slices
        return None

    def __call__(self, activations: np.ndarray) -> np.ndarray:
        """Map activations (inputs, points) to (outputs, points), integers in float32."""
        dtype = self.weights[0].dtype
        sums = self.weights[0] @ activations[self.slices[0]].astype(dtype, copy=False)
        if self.integers:
            layer = self.layer
            multipliers, offsets, shifts = (
                v[:, None] for v in (layer.multipliers, layer.offsets, layer.shifts)
            )
            integers = sums.astype(np.int64)
            scaled = requantize(integers, multipliers, offsets, shifts, self.high)
            return scaled.astype(np.float32)
        for weights, part in zip(self.weights[1:], self.slices[1:], strict=True):
            sums = np.add(sums, weights @ activations[part], dtype=np.float64)
        if self.scale is not None:
            sums = np.multiply(sums, self.scale, dtype=np.float64)
        sums += self.offset
        np.floor(sums, out=sums)
        return np.clip(sums, 0, self.high, out=sums).astype(np.float32, copy=False)


def _reach(weights: np.ndarray, activation_max: int) -> int:
    """Return the largest magnitude of any partial sum."""
    negative = -np.minimum(weights, 0).sum(axis=1).min(initial=0)
    positive = np.maximum(weights, 0).sum(axis=1).max(initial=0)
    return int(max(negative, positive)) * activation_max
