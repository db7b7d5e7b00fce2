import numpy as np
import pytest
import torch

from implicore.errors import BadInput
from implicore.grid import Frame, Grid
from implicore.model.samples import DRAW_FLOOR, SLICE_POINTS, Batches, Samples
from implicore.model.volume import Volume
from implicore.patch import Lattice

OBLIQUE = [[0.9, -0.2, 0.1, 5], [0.3, 1.1, 0, -3], [0, 0.1, 1.2, 40], [0, 0, 0, 1]]


def volume(shape=(3, 4, 5), affine=OBLIQUE, dtype=np.int16, seed=0) -> Volume:
    data = np.random.default_rng(seed).integers(0, 100, shape).astype(dtype)
    return Volume(data, Grid.from_array(shape, affine), "a.nii")


def test_every_voxel_of_every_image_is_at_its_place_in_the_world():
    volumes = [volume(), volume((2, 6, 3), np.diag([2.0, 1.0, 1.5, 1.0]), seed=1)]
    samples = Samples(volumes)
    frame = Frame.around([v.grid for v in volumes])
    assert samples.frame == frame
    assert len(samples) == 60 + 36
    world = [v.grid.world(np.stack(np.indices(v.grid.shape), -1).reshape(-1, 3)) for v in volumes]
    expected = frame.coordinates(np.concatenate(world))
    order = torch.randperm(len(samples))
    points = samples.coordinates(order)
    assert points.dtype == torch.float32
    np.testing.assert_allclose(points.numpy(), expected[order.numpy()], atol=1e-6)


def test_targets_of_several_images_share_the_widest_scale():
    low, high = volume(dtype=np.int16), volume(dtype=np.float32, seed=1)
    low = Volume(low.data - np.int16(50), low.grid, "low")
    high = Volume(high.data * np.float32(3), high.grid, "high")
    samples = Samples([low, high])
    assert (samples.intensity.low, samples.intensity.high) == (
        low.intensity_range[0],
        high.intensity_range[1],
    )
    assert samples.intensity.dtype == "float32"
    scale = samples.intensity.high - samples.intensity.low
    back = samples.targets.numpy().ravel() * scale + samples.intensity.low
    np.testing.assert_allclose(back[:60], low.data.ravel(), atol=1e-4)
    np.testing.assert_allclose(back[60:], high.data.ravel(), atol=1e-4)


def test_uint8_keeps_its_customary_full_scale():
    samples = Samples([volume(dtype=np.uint8)])
    assert (samples.intensity.low, samples.intensity.high) == (0, 255)
    assert samples.intensity.dtype == "uint8"


def test_a_slice_is_sampled_through_its_thickness():
    thick = Grid.from_array((3, 4, 5), np.array(OBLIQUE) * [1, 4, 1, 1])
    samples = Samples([Volume(volume().data, thick, "a")], "slice")
    assert samples.points == SLICE_POINTS
    index = torch.arange(60)
    middle = samples.coordinates(index).reshape(60, SLICE_POINTS, 3).numpy()
    voxels = np.stack(np.indices(thick.shape), -1).reshape(-1, 1, 3)
    offset = np.zeros((SLICE_POINTS, 3))
    offset[:, 1] = (np.arange(SLICE_POINTS) + 0.5) / SLICE_POINTS - 0.5
    expected = samples.frame.coordinates(thick.world(voxels + offset))
    np.testing.assert_allclose(middle, expected, atol=1e-6)

    drawn = samples.coordinates(index, np.random.default_rng(0)).reshape(60, SLICE_POINTS, 3)
    world = drawn.numpy() * samples.frame.extent + samples.frame.centre
    place = (world - thick.matrix[:3, 3]) @ np.linalg.inv(thick.matrix[:3, :3]).T - voxels
    assert np.abs(place[..., [0, 2]]).max() < 1e-4
    strata = (place[..., 1] + 0.5) * SLICE_POINTS
    assert (np.floor(strata) == np.arange(SLICE_POINTS)).mean() > 0.99  # float32 at the borders
    assert np.unique(np.round(strata % 1, 3)).size > 100


def test_a_slice_profile_leaves_isotropic_images_as_points():
    samples = Samples([volume()], "slice")
    assert samples.points == 1
    index = torch.arange(60)
    drawn = samples.coordinates(index, np.random.default_rng(0))
    assert torch.equal(drawn, Samples([volume()]).coordinates(index))


PATCH = (2, 3, 2)
"""A patch that divides no edge of ``volume`` but one."""


def test_every_patch_has_its_centre_and_its_voxels():
    image = volume()
    lattice = Lattice(image.grid, PATCH)
    samples = Samples([image], patch=PATCH)
    assert samples.frame == Frame.around([lattice.padded]) != Frame.around([image.grid])
    assert len(samples) == 2 * 2 * 3 and samples.targets.shape == (12, 12)
    points = samples.coordinates(torch.arange(12))
    scale = samples.intensity.high - samples.intensity.low
    for number, first in enumerate(np.ndindex(2, 2, 3)):
        places = [
            np.array(first) * PATCH + (i, j, k)
            for k in range(2)
            for j in range(3)
            for i in range(2)
        ]
        centre = samples.frame.coordinates(image.grid.world(np.mean(places, axis=0)))
        np.testing.assert_allclose(points[number], centre, atol=1e-6)
        inside = np.minimum(places, np.array(image.grid.shape) - 1)
        expected = image.data[tuple(inside.T)]
        targets = samples.targets[number].numpy() * scale + samples.intensity.low
        np.testing.assert_allclose(targets, expected, atol=1e-4)


@pytest.mark.parametrize("patch", [(1, 1, 1), PATCH])
def test_values_come_back_as_images(patch):
    volumes = [volume(), volume((2, 6, 3), np.diag([2.0, 1.0, 1.5, 1.0]), seed=1)]
    volumes = volumes[: 2 if patch == (1, 1, 1) else 1]
    samples = Samples(volumes, patch=patch)
    scale = samples.intensity.high - samples.intensity.low
    for image, one in zip(samples.images(samples.targets.numpy()), volumes, strict=True):
        assert image.shape == one.grid.shape and image.flags.c_contiguous
        np.testing.assert_allclose(image * scale + samples.intensity.low, one.data, atol=1e-4)


def test_an_epoch_draws_every_voxel_once():
    batches = Batches(96, 32, seed=3)
    epochs = [torch.cat([batches[step] for step in range(e * 3, e * 3 + 3)]) for e in range(2)]
    for epoch in epochs:
        assert torch.equal(epoch.sort().values, torch.arange(96))
    assert not torch.equal(*epochs)


def test_an_epoch_draws_a_sample_as_often_as_asked():
    draws = np.random.default_rng(1).uniform(0, 3, 96)
    draws *= 96 / draws.sum()
    batches = Batches(96, 32, seed=3, draws=draws)
    total = np.zeros(96)
    for epoch in range(400):
        drawn = torch.cat([batches[3 * epoch + place] for place in range(3)])
        counts = np.bincount(drawn.numpy(), minlength=96)
        assert ((counts == np.floor(draws)) | (counts == np.ceil(draws))).all()
        total += counts
    np.testing.assert_allclose(total / 400, draws, atol=0.1)


def test_patches_of_contrast_are_drawn_more_often():
    data = np.zeros((8, 8, 8), np.uint8)
    data[:4, :4, :4] = np.random.default_rng(0).integers(0, 256, (4, 4, 4))
    image = Volume(data, Grid.from_array(data.shape, np.eye(4)), "corner")
    draws = Samples([image], patch=(4, 4, 4)).draws()
    assert draws.mean() == pytest.approx(1)
    assert draws[0] == pytest.approx(draws[1] * (8 + DRAW_FLOOR) / DRAW_FLOOR)
    assert (Samples([image]).draws() == 1).all()
    flat = Volume(data * 0 + 7, image.grid, "flat")
    assert (Samples([flat], patch=(4, 4, 4)).draws() == 1).all()


def test_a_step_draws_the_same_whatever_came_before():
    batches = Batches(100, 32, seed=3)
    walked = [batches[step] for step in range(9)]
    for step in (8, 0, 5):
        assert torch.equal(Batches(100, 32, seed=3)[step], walked[step])
    assert not torch.equal(Batches(100, 32, seed=4)[0], walked[0])
    assert batches.rng(5).random() == Batches(100, 32, seed=3).rng(5).random()
    assert batches.rng(5).random() != batches.rng(6).random()


def test_a_batch_is_no_larger_than_the_image():
    assert len(Batches(10, 32, seed=0)[0]) == 10


def test_init_wrong_arguments():
    with pytest.raises(BadInput, match=r"^There must be at least one image to fit\.$"):
        Samples([])
    with pytest.raises(BadInput, match=r"^The profile must be one of point, slice, not 'box'\.$"):
        Samples([volume()], "box")
    with pytest.raises(
        BadInput,
        match=r"^Patches of 2x3x2 voxels tile one image, not 2: fit several images with "
        r"--patch 1x1x1\.$",
    ):
        Samples([volume(), volume()], patch=PATCH)
    thick = Grid.from_array((3, 4, 5), np.diag([1.0, 4, 1, 1]))
    with pytest.raises(
        BadInput,
        match=r"^The profile 'slice' is of single voxels, but the patch has 2x3x2: fit thick "
        r"slices with --patch 1x1x1 or --profile point\.$",
    ):
        Samples([Volume(volume().data, thick, "a")], "slice", patch=PATCH)
    assert Samples([volume()], "slice", patch=PATCH).points == 1
