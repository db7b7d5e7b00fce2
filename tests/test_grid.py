import json
from itertools import product

import numpy as np
import pytest
import SimpleITK as sitk
from nibabel.affines import apply_affine, voxel_sizes
from nibabel.quaternions import quat2mat

from implicore.errors import BadInput
from implicore.grid import MAX_AXIS, PLANES, Frame, Grid

SHAPE = (12, 17, 9)
SIZE = np.array([0.7, 0.9, 1.3])
OBLIQUE = quat2mat([0.9, 0.2, -0.3, 0.1])
SCALES = [2, 1.7, 0.5, 3.3]


def oblique(shape=SHAPE):
    affine = np.eye(4)
    affine[:3, :3] = OBLIQUE * SIZE
    affine[:3, 3] = [-11.5, 20.25, 7.1]
    return Grid.from_array(shape, affine)


def itk_image(grid, value=None):
    """An ITK image on a grid, all in RAS as far as ITK is concerned."""
    image = sitk.Image(grid.shape, sitk.sitkFloat64) if value is None else value
    image.SetSpacing(grid.voxel_size)
    image.SetDirection((grid.matrix[:3, :3] / grid.voxel_size).ravel())
    image.SetOrigin(grid.matrix[:3, 3])
    return image


def indices(shape):
    return np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)


# ------------------------------------------------------------------------------------ making


def test_load_reads_shape_and_affine(tmp_path):
    path = tmp_path / "grid.json"
    grid = oblique()
    path.write_text(json.dumps({"shape": grid.shape, "affine": grid.affine}))
    assert Grid.load(path) == grid


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ('{"shape": [1, 2, 3]}', r'must hold {"shape": \[X, Y, Z\], "affine": 4 x 4 numbers}\.$'),
        ("[1, 2]", r"must hold "),
        ("{", r"must hold "),
        (
            '{"shape": [1, 2, 3], "affine": [[1]]}',
            r"does not describe a grid: a grid's affine must be a 4 x 4 matrix",
        ),
    ],
)
def test_load_rejects_other_files(tmp_path, content, text):
    path = tmp_path / "grid.json"
    path.write_text(content)
    with pytest.raises(BadInput, match=rf"^\S+grid\.json {text}".replace("  ", " ")):
        Grid.load(path)


def test_load_names_a_missing_file(tmp_path):
    with pytest.raises(BadInput, match=r"^\S+none cannot be read: No such file or directory\.$"):
        Grid.load(tmp_path / "none")


def test_from_array_keeps_the_affine_to_the_last_bit():
    affine = np.eye(4)
    affine[:3] = np.random.default_rng(0).normal(size=(3, 4))
    grid = Grid.from_array(np.array(SHAPE), affine)
    assert np.array_equal(grid.matrix, affine)
    assert not grid.matrix.flags.writeable
    assert grid.shape == SHAPE
    assert grid.voxels == 12 * 17 * 9
    assert hash(grid) == hash(Grid.from_array(SHAPE, affine))


def test_voxel_size_and_world_agree_with_nibabel():
    grid = oblique()
    assert np.allclose(grid.voxel_size, voxel_sizes(grid.matrix), rtol=1e-15)
    assert np.allclose(grid.voxel_size, SIZE, rtol=1e-12)
    index = np.random.default_rng(0).normal(size=(4, 5, 3))
    assert np.allclose(grid.world(index), apply_affine(grid.matrix, index), rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(0, 2, 3), (2, 3), (2, 3, 4, 5), (2, 3, 1.5), (2, 3, -1)])
def test_wrong_shape(shape):
    with pytest.raises(
        BadInput,
        match=r"^A grid's shape must be three whole numbers from 1 to 65536, not \(.*\)\.$",
    ):
        Grid(shape, oblique().affine)


def test_longest_axis():
    assert oblique((MAX_AXIS, 1, 1)).shape[0] == MAX_AXIS
    with pytest.raises(
        BadInput,
        match=r"^A grid's shape must be three whole numbers from 1 to 65536, not \(65537, .*\)\.$",
    ):
        oblique((MAX_AXIS + 1, 1, 1))


def test_wrong_affine():
    with pytest.raises(
        BadInput, match=r"^A grid's affine must be a 4 x 4 matrix of finite numbers\.$"
    ):
        Grid.from_array(SHAPE, np.eye(3))
    with pytest.raises(
        BadInput, match=r"^A grid's affine must be a 4 x 4 matrix of finite numbers\.$"
    ):
        Grid.from_array(SHAPE, np.full((4, 4), np.nan))
    with pytest.raises(
        BadInput,
        match=r"^A grid's affine must end in the row 0 0 0 1, not \(0\.0, 0\.0, 0\.0, 2\.0\)\.$",
    ):
        Grid.from_array(SHAPE, np.diag([1, 1, 1, 2]))
    with pytest.raises(BadInput, match=r"^A grid's step along index axis 1 must not be zero\.$"):
        Grid.from_array(SHAPE, np.diag([1, 0, 1, 1]))
    assert Grid.from_array((2, 1, 2), np.diag([1, 0, 1, 1])).voxel_size == (1.0, 0.0, 1.0)


# ------------------------------------------------------------------------------------ corners


@pytest.mark.parametrize("edges", [True, False])
def test_corners(edges):
    grid, margin = oblique(), 0.5 * edges
    image = itk_image(grid)
    expected = [
        image.TransformContinuousIndexToPhysicalPoint(index)
        for index in product(*((-margin, n - 1 + margin) for n in SHAPE))
    ]
    assert np.allclose(grid.corners(edges=edges), expected, rtol=0, atol=1e-12)


# ------------------------------------------------------------------------------------ scaling


@pytest.mark.parametrize("scale", SCALES)
def test_scaling_keeps_the_outer_edges(scale):
    grid = oblique()
    scaled = grid.scaled(scale)
    assert scaled.shape == tuple(int(np.floor(n * scale + 0.5)) for n in SHAPE)
    assert np.allclose(scaled.corners(edges=True), grid.corners(edges=True), rtol=0, atol=1e-12)
    directions = scaled.matrix[:3, :3] / scaled.voxel_size
    assert np.allclose(directions, OBLIQUE, rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", SCALES)
def test_scaled_voxel_centres_are_where_itk_resamples(scale):
    grid = oblique()
    scaled = grid.scaled(scale)
    # ITK's own geometry of the same field of view, divided into as many voxels.
    image = itk_image(grid)
    size = np.array(SHAPE) * grid.voxel_size / scaled.shape
    first = (size / grid.voxel_size - 1) / 2
    fine = sitk.Image(scaled.shape, sitk.sitkFloat64)
    fine.SetSpacing(size)
    fine.SetDirection(image.GetDirection())
    fine.SetOrigin(image.TransformContinuousIndexToPhysicalPoint(first))
    for index in product(*((0, 1, n - 1) for n in scaled.shape)):
        place = fine.TransformIndexToPhysicalPoint(index)
        assert np.allclose(scaled.world(index), place, rtol=0, atol=1e-11)


@pytest.mark.parametrize("scale", SCALES)
def test_itk_resamples_a_world_ramp_to_the_scaled_world_positions(scale):
    # Linear interpolation of an image that is linear in world coordinates returns the coordinate
    # of every voxel centre: a centre that is off by half a voxel would show.
    grid = oblique()
    scaled = grid.scaled(scale)
    expected = scaled.world(indices(scaled.shape))
    inside = (expected - grid.matrix[:3, 3]) @ np.linalg.inv(grid.matrix[:3, :3]).T
    inside = ((inside >= 0) & (inside <= np.array(SHAPE) - 1)).all(axis=-1)
    assert inside.sum() > 50
    for axis in range(3):
        ramp = grid.world(indices(SHAPE))[..., axis]
        image = itk_image(grid, sitk.GetImageFromArray(ramp.transpose(2, 1, 0)))
        resampled = sitk.Resample(image, itk_image(scaled), sitk.Transform(), sitk.sitkLinear)
        values = sitk.GetArrayFromImage(resampled).transpose(2, 1, 0)
        assert np.abs(values - expected[..., axis])[inside].max() < 1e-9


def test_scale_one_is_the_same_grid():
    grid = oblique()
    assert grid.scaled(1) is grid
    assert grid.scaled(1.0) is grid


def test_scaling_down_leaves_one_voxel():
    grid = oblique()
    single = grid.scaled(0.01)
    assert single.shape == (1, 1, 1)
    centre = grid.world((np.array(SHAPE) - 1) / 2)
    assert np.allclose(single.world([0, 0, 0]), centre, rtol=0, atol=1e-12)


@pytest.mark.parametrize("scale", [0, -1, np.nan, np.inf])
def test_wrong_scale(scale):
    with pytest.raises(
        BadInput, match=r"^The scale must be a positive number up to 65536, not \S+\.$"
    ):
        oblique().scaled(scale)
    with pytest.raises(
        BadInput, match=r"^The scale must be a positive number up to 65536, not \S+\.$"
    ):
        oblique().plane("axial", 10.0, scale)


def test_too_many_samples():
    with pytest.raises(
        BadInput,
        match=r"^A grid's shape must be three whole numbers from 1 to 65536, not \(.*\)\.$",
    ):
        oblique().scaled(1e4)


# ------------------------------------------------------------------------------------- planes


@pytest.mark.parametrize("scale", [1, 2.5])
@pytest.mark.parametrize(("name", "normal"), PLANES.items())
def test_plane_covers_the_bounding_box(name, normal, scale):
    grid = oblique()
    corners = grid.corners(edges=True)
    low, high = corners.min(axis=0), corners.max(axis=0)
    middle = (low[normal] + high[normal]) / 2
    plane = grid.plane(name, middle, scale)
    assert plane.shape[2] == 1

    world = plane.world(indices(plane.shape))
    assert (world[..., normal] == middle).all()
    along = [axis for axis in range(3) if axis != normal]
    for index, axis in enumerate(along):
        # Index 0 runs along the first remaining axis (R, A, S) and index 1 along the second,
        # upwards; the outer voxel edges are the bounding box's.
        size = plane.voxel_size[index]
        assert plane.matrix[axis, index] == size > 0
        assert np.isclose(world[..., axis].min() - size / 2, low[axis], rtol=0, atol=1e-12)
        assert np.isclose(world[..., axis].max() + size / 2, high[axis], rtol=0, atol=1e-12)
        # Nearly square pixels of the finest voxel size: a whole number of them fits the box.
        assert np.isclose(size, 0.7 / scale, rtol=0.5 / plane.shape[index])


def test_plane_of_an_axis_aligned_grid_samples_its_voxels():
    grid = Grid.from_array((4, 5, 6), np.diag([2.0, 2.0, 2.0, 1.0]))
    plane = grid.plane("axial", 4.0)
    expected = grid.world(indices((4, 5, 1)) + [0, 0, 2])
    assert np.array_equal(plane.world(indices(plane.shape)), expected)


def test_middle_plane_halves_the_bounding_box():
    grid = Grid.from_array((4, 5, 6), np.diag([2.0, 2.0, 3.0, 1.0]))
    assert grid.middle_plane() == grid.plane("axial", 7.5)
    tilted = oblique()
    centre = (np.array(tilted.shape) - 1) / 2
    heights = tilted.middle_plane().world(indices(tilted.middle_plane().shape))[..., 2]
    assert np.allclose(heights, tilted.world(centre)[2], rtol=0, atol=1e-12)


def test_plane_outside_the_image():
    grid = Grid.from_array((4, 5, 6), np.diag([2.0, 2.0, 2.0, 1.0]))
    grid.plane("axial", 11.0)
    with pytest.raises(
        BadInput,
        match=r"^The axial plane at 11\.5 mm lies outside the image, "
        r"which reaches from -1 to 11 mm\.$",
    ):
        grid.plane("axial", 11.5)
    with pytest.raises(BadInput, match=r"^The axial plane at nan mm lies outside the image, .*\.$"):
        grid.plane("axial", float("nan"))


def test_unknown_plane():
    with pytest.raises(
        BadInput, match=r"^The plane must be one of sagittal, coronal, axial, not 'top'\.$"
    ):
        oblique().plane("top", 0.0)


# ------------------------------------------------------------------------------------- frames


def test_frame_spans_the_longest_axis_isotropically():
    grid = oblique()
    frame = Frame.around([grid])
    corners = frame.coordinates(grid.corners(edges=True))
    assert np.abs(corners).max() == pytest.approx(1, abs=1e-12)
    low, high = corners.min(axis=0), corners.max(axis=0)
    assert np.allclose(low, -high, rtol=0, atol=1e-12)
    longest = np.argmax(high - low)
    assert high[longest] - low[longest] == pytest.approx(2, abs=1e-12)
    # One scale for all three axes: distances shrink alike.
    steps = np.diff(frame.coordinates(grid.world([[0, 0, 0], [1, 0, 0]])), axis=0)
    assert np.linalg.norm(steps) * frame.extent == pytest.approx(0.7, rel=1e-12)


def test_frame_of_several_grids_holds_them_all():
    grids = [oblique(), oblique((30, 4, 4)), Grid.from_array((2, 2, 2), np.diag([9, 9, 9, 1]))]
    frame = Frame.around(grids)
    corners = frame.coordinates(np.concatenate([g.corners(edges=True) for g in grids]))
    assert np.abs(corners).max() == pytest.approx(1, abs=1e-12)


def test_frame_affine_maps_indices_to_coordinates():
    grid = oblique()
    frame = Frame.around([grid])
    affine = frame.affine(grid.scaled(1.7))
    index = indices(grid.scaled(1.7).shape)
    expected = frame.coordinates(grid.scaled(1.7).world(index))
    assert affine.shape == (3, 4)
    assert np.allclose(index @ affine[:, :3].T + affine[:, 3], expected, rtol=0, atol=1e-13)


def test_frame_is_the_same_for_a_scaled_grid():
    frame, scaled = Frame.around([oblique()]), Frame.around([oblique().scaled(3.3)])
    assert np.allclose(frame.centre, scaled.centre, rtol=0, atol=1e-12)
    assert frame.extent == pytest.approx(scaled.extent, rel=1e-12)


def test_wrong_frame():
    with pytest.raises(BadInput, match=r"^A frame's extent must be a positive number, not 0\.0\.$"):
        Frame((0.0, 0.0, 0.0), 0.0)
    with pytest.raises(
        BadInput,
        match=r"^A frame's centre must be three finite numbers, not \(0\.0, nan, 0\.0\)\.$",
    ):
        Frame((0.0, float("nan"), 0.0), 1.0)
