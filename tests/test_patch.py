"""Patches and their lattice."""

import numpy as np
import pytest

from implicore.errors import BadInput
from implicore.grid import Grid
from implicore.patch import POINT, Lattice, checked_patch, join_patches, parse_patch, patch_name


def _grid(shape):
    affine = np.array([[0.9, -0.2, 0.1, 5], [0.3, 1.1, 0, -7], [0, 0.4, 2.5, 3], [0, 0, 0, 1]])
    return Grid.from_array(shape, affine)


@pytest.mark.parametrize("shape", [(8, 6, 4), (10, 7, 5), (1, 1, 1), (3, 1, 9)])
@pytest.mark.parametrize("patch", [(1, 1, 1), (4, 3, 2), (2, 2, 2), (5, 1, 7)])
def test_join_inverts_split(shape, patch):
    lattice = Lattice(_grid(shape), patch)
    volume = np.random.default_rng(0).integers(0, 1000, shape)
    voxels = lattice.split(volume)
    assert voxels.shape == (lattice.grid.voxels, np.prod(patch))
    assert (lattice.join(voxels.ravel()) == volume).all()


@pytest.mark.parametrize("patch", [(1, 1, 1), (4, 3, 2), (16, 2, 5)])
def test_inside_marks_the_voxels_of_the_source(patch):
    lattice = Lattice(_grid((10, 7, 5)), patch)
    inside = lattice.inside
    assert inside.shape == (lattice.grid.voxels, np.prod(patch))
    assert inside.sum() == 350 and lattice.join(inside.ravel()).all()


def test_a_window_is_a_box_of_patches_within_the_source():
    lattice = Lattice(_grid((10, 7, 5)), (4, 3, 2))
    assert lattice.window(0, (1, 1, 1)) == (slice(0, 4), slice(0, 3), slice(0, 2))
    last = 2 + 3 * (1 + 3 * 2)
    assert lattice.window(last, (1, 2, 1)) == (slice(8, 10), slice(3, 7), slice(4, 5))


def test_numbering_has_the_first_axis_fastest():
    lattice = Lattice(_grid((10, 7, 5)), (4, 3, 2))
    assert lattice.shape == (3, 3, 3)
    volume = np.arange(350).reshape(10, 7, 5)
    voxels = lattice.split(volume)
    # Patch (1, 2, 2) begins at voxel (4, 6, 4); beyond the source its edge is repeated.
    patch = voxels[1 + 3 * (2 + 3 * 2)]
    assert patch[2 + 4 * (0 + 3 * 0)] == volume[6, 6, 4]
    assert patch[3 + 4 * (2 + 3 * 1)] == volume[7, 6, 4]


@pytest.mark.parametrize("patch", [(4, 3, 2), (1, 1, 5)])
def test_the_lattice_holds_the_centres_of_the_patches(patch):
    source = _grid((10, 7, 5))
    lattice = Lattice(source, patch)
    index = np.array([2, 1, 0]) % lattice.shape
    centre = index * patch + (np.array(patch) - 1) / 2
    assert np.allclose(lattice.grid.world(index), source.world(centre))
    assert lattice.padded.shape == tuple(np.multiply(lattice.shape, patch))


def test_the_lattice_of_single_voxels_is_the_source():
    source = _grid((3, 2, 1))
    assert Lattice(source, POINT).grid is source


def test_join_patches_makes_a_box():
    box = join_patches(np.arange(24), (2, 1, 3), (1, 4, 1))
    assert box.shape == (2, 4, 3)
    assert box[1, 2, 1] == 2 * 6 + 1 + 2 * 1


def test_names_are_parsed_back():
    assert parse_patch("4x3x2") == (4, 3, 2)
    assert parse_patch(patch_name((4, 3, 2))) == (4, 3, 2)
    for text in ("4", "4x4", "4x4x", "0x1x1", "4x4x-4", "16x16x16", "4X4x4", "1x1x1x1", "a"):
        with pytest.raises(BadInput, match="patch must"):
            parse_patch(text)
    with pytest.raises(BadInput, match="product of at most 2048"):
        checked_patch((2048, 2, 1))
