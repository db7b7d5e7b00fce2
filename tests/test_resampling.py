"""Interpolation between the voxels of a program with patches."""

import math
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import map_coordinates, spline_filter

from implicore.errors import BadInput
from implicore.formats import Formats
from implicore.grid import Frame, Grid
from implicore.model.golden import Renderer
from implicore.model.metrics import psnr
from implicore.model.resampling import EDGE, POLE, SPAN, Resampler, margin
from implicore.network_shape import NetworkShape
from implicore.patch import Lattice
from implicore.random_program import random_program

TURNED = np.array([[0.9, -0.3, 0.1, -20], [0.3, 1.1, 0, 13], [0, 0.2, 2.5, 5], [0, 0, 0, 1]], float)


def program_of(shape, patch, *, affine=TURNED, formats="w8a12"):
    """A program of noise on a source grid of this shape."""
    network = NetworkShape(3, 4, 2, outputs=math.prod(patch))
    program = random_program(network, Formats.parse(formats), patch=patch)
    grid = Grid.from_array(shape, affine)
    return replace(program, grid=grid, frame=Frame.around([Lattice(grid, patch).padded]))


def splined(program, index):
    """Interpolate the whole decoded volume at fractional indices (..., 3)."""
    volume = Renderer(program).render(program.grid)
    coefficients = spline_filter(volume, order=3, output=np.float64, mode="mirror")
    return map_coordinates(
        coefficients, np.moveaxis(index, -1, 0), order=3, mode="mirror", prefilter=False
    )


def index_of(program, grid):
    """Return the fractional indices (X, Y, Z, 3) of a grid's samples in the source."""
    world = grid.world(np.moveaxis(np.indices(grid.shape), 0, -1))
    moved = world - program.grid.matrix[:3, 3]
    return moved @ np.linalg.inv(program.grid.matrix[:3, :3]).T


def check(program, grid):
    """Check a rendered grid against the spline of the whole decoded volume."""
    rendered = Renderer(program).render(grid)
    index = index_of(program, grid)
    top = program.formats.output_max
    expected = np.clip(splined(program, index), 0, top)
    inside = ((index > -0.5) & (index < np.array(program.grid.shape) - 0.5)).all(axis=-1)
    assert rendered.shape == grid.shape and rendered.dtype == np.uint16
    assert inside.any() and rendered.max() > 0
    assert np.abs(rendered - expected)[inside].max() < 0.5 + 0.25
    beyond = ((index < -0.501) | (index > np.array(program.grid.shape) - 0.499)).any(axis=-1)
    assert (rendered[beyond] == 0).all()
    return rendered, expected, inside


@pytest.mark.parametrize("patch", [(4, 4, 4), (3, 1, 2), (8, 16, 4)])
@pytest.mark.parametrize("scale", [0.3, 0.7, 1.7, 2])
def test_scaled_grids_are_the_spline_of_the_whole_volume(patch, scale):
    program = program_of((43, 37, 21), patch)
    check(program, program.grid.scaled(scale))


@pytest.mark.parametrize("formats", ["w8a8o8", "w8a16o16"])
def test_blocks_join_without_a_seam(formats):
    """The source is larger than a block and its margins, and noise from voxel to voxel."""
    program = program_of((3 * SPAN, 9, 9), (4, 4, 4), formats=formats)
    grid = program.grid.scaled(1.3)
    assert grid.shape[0] > 2 * EDGE
    rendered, expected, inside = check(program, grid)
    exact = np.floor(expected + 0.5)
    assert (rendered == exact)[inside].mean() > 0.99


def test_twofold_refinement_has_the_psnr_of_the_whole_spline():
    program = program_of((30, 26, 22), (4, 4, 4))
    grid = program.grid.scaled(2)
    rendered, expected, _ = check(program, grid)
    x, y, z = np.moveaxis(index_of(program, grid), -1, 0)
    scan = 2000 * (1 + np.sin(x / 4) * np.cos(y / 5 + z / 3))
    peak = program.formats.output_max
    assert psnr(scan, rendered, peak) == pytest.approx(psnr(scan, expected, peak), abs=1e-3)


def test_oblique_grids_and_planes():
    program = program_of((40, 30, 12), (4, 2, 3))
    turn = TURNED @ np.array([[0.6, 0.5, 0, -3], [-0.5, 0.6, 0, 9], [0.1, 0, 0.4, 2], [0, 0, 0, 1]])
    check(program, Grid.from_array((50, 50, 9), turn))
    for name in ("axial", "coronal", "sagittal"):
        middle = program.grid.corners(edges=True).mean(axis=0)
        axis = ("sagittal", "coronal", "axial").index(name)
        check(program, program.grid.plane(name, middle[axis] + 0.3, 1.6))


def test_a_shifted_source_grid_returns_the_decoded_voxels():
    """At voxel centres the spline passes through the voxels."""
    program = program_of((20, 16, 12), (4, 4, 4))
    volume = Renderer(program).render(program.grid)
    matrix = program.grid.matrix.copy()
    matrix[:3, 3] = program.grid.world([3, 2, 1])
    part = Renderer(program).render(Grid.from_array((9, 9, 9), matrix))
    assert (part == volume[3:12, 2:11, 1:10]).all()


@pytest.mark.parametrize("shape", [(1, 20, 18), (20, 1, 1)])
def test_axes_of_one_sample(shape):
    program = program_of(shape, (2, 2, 2))
    check(program, program.grid.scaled(2))
    # An axis of one sample may have no size; the patch then has one voxel along it.
    single = np.array(shape) == 1
    matrix = TURNED * [*~single, 1]
    flat = program_of(shape, np.where(single, 1, 3).tolist(), affine=matrix)
    sizes = np.where(single, 1, 10).tolist()
    matrix[:3, 3] = flat.grid.world(np.where(single, 0, 2))
    volume = Renderer(flat).render(flat.grid)
    part = Renderer(flat).render(Grid.from_array(sizes, matrix))
    window = tuple(slice(0 if one else 2, 12) for one in single)
    assert (part == volume[window]).all() and part.max() > 0


def test_free_points():
    program = program_of((110, 60, 20), (4, 4, 4))
    rng = np.random.default_rng(0)
    index = rng.uniform(-3, np.array(program.grid.shape) + 2, (3000, 3))
    expected = np.clip(splined(program, index), 0, program.formats.output_max)
    inside = ((index > -0.5) & (index < np.array(program.grid.shape) - 0.5)).all(axis=1)
    renderer = Renderer(program)
    voxels = renderer.points(program.grid.world(index))
    assert np.abs(voxels - expected)[inside].max() < 0.75
    assert (voxels[~inside] == 0).all() and 0 < inside.sum() < 3000
    assert renderer.points(np.empty((0, 3))).shape == (0,)
    for edge in (-0.5, 109.5):  # on the edge of the image, whatever the rounding errors
        where = program.grid.world([[edge, k / 3, 7] for k in range(100)])
        assert (renderer.points(where) > 0).mean() > 0.5
    with pytest.raises(BadInput, match=r"^Points must be finite numbers\.$"):
        renderer.points(np.array([[np.nan, 0, 0]]))


@pytest.mark.parametrize("start", [100, 101, 102, 103])
def test_a_plane_decodes_only_the_patches_that_it_needs(start):
    program = program_of((48, 48, 200), (4, 4, 4), affine=np.eye(4))
    renderer, decoded = Renderer(program), []

    def decode(coordinates):
        decoded.extend(map(tuple, coordinates.tolist()))
        return renderer.voxels(coordinates)

    resampler = Resampler(program, decode)
    plane = program.grid.plane("axial", start + 0.3)
    rendered = resampler.render(plane, lambda voxels: voxels)
    assert (rendered == renderer.render(plane)).all()
    reach = margin(program.formats.output_max)
    layers = (start + 2 + reach) // 4 - (start - 1 - reach) // 4 + 1
    assert len(set(decoded)) == len(decoded) == 12 * 12 * layers
    resampler.render(program.grid.plane("axial", start + 0.7), lambda voxels: voxels)
    assert len(decoded) == 12 * 12 * layers  # they are kept
    resampler.render(
        Grid.from_array((9, 9, 1), TURNED * [1, 1, 1, 100] + np.diag([0, 0, 0, -99])),
        lambda voxels: voxels,
    )
    assert len(decoded) == 12 * 12 * layers


@pytest.mark.parametrize("scale", [1, 3])
def test_a_plane_of_voxels_decodes_only_their_layer(scale):
    program = program_of((48, 48, 200), (4, 4, 4), affine=np.diag([0.7, 1.3, 0.9, 1]))
    renderer, decoded = Renderer(program), []

    def decode(coordinates):
        decoded.extend(map(tuple, coordinates.tolist()))
        return renderer.voxels(coordinates)

    plane = program.grid.plane("axial", program.grid.world([0, 0, 77])[2], scale)
    rendered = Resampler(program, decode).render(plane, lambda voxels: voxels)
    assert len(decoded) == 12 * 12
    expected = splined(program, index_of(program, plane))
    assert np.abs(rendered - np.clip(expected, 0, program.formats.output_max)).max() < 0.51


def test_the_margin_bounds_the_effect_of_the_cut():
    """The worst image: full scale wherever the response has one sign, 0 elsewhere."""
    for top in (255, 4095, 65535):
        size = margin(top)
        far = np.arange(size + 1, size + 200)
        one_axis = top * math.sqrt(3) * (POLE**far).sum()
        assert 3 * 9 * 2 * one_axis < 0.25 < 3 * 9 * 2 * one_axis / POLE
    signal = np.zeros(101)
    signal[50] = 1
    response = spline_filter(signal, order=3, output=np.float64, mode="mirror")[50:60]
    assert np.allclose(response, math.sqrt(3) * (-POLE) ** np.arange(10))


def test_memory_does_not_grow_with_the_grid():
    program = program_of((44, 36, 36), (4, 4, 4), affine=np.eye(4))
    renderer = Renderer(program)
    peaks = []
    for scale in (2, 3):
        grid = program.grid.scaled(scale)
        tracemalloc.start()
        renderer.render(grid)
        peaks.append(tracemalloc.get_traced_memory()[1] - 2 * grid.voxels)
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + (1 << 20) and peaks[0] < 40 << 20


def test_a_source_too_large_to_keep_is_rejected():
    program = program_of((2000, 2000, 2000), (4, 4, 4))
    with pytest.raises(BadInput, match=r"^The source image has 8000000000 voxels, more than the "):
        Renderer(program).render(program.grid.middle_plane())
