"""Rendering to intensities: comparison with an image, saving, metrics."""

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from implicore.errors import BadInput
from implicore.formats import Formats
from implicore.model.golden import Renderer
from implicore.model.metrics import psnr, ssim
from implicore.model.rendering import check_output, render
from implicore.model.volume import Volume, to_intensities
from implicore.network_shape import NetworkShape
from implicore.random_program import random_program

PROGRAM = random_program(NetworkShape(5, 7, 3), Formats(8, 8), seed=2)


def noise(grid) -> Volume:
    rng = np.random.default_rng(0)
    return Volume(rng.integers(-100, 300, grid.shape).astype(np.int16), grid, "noise")


def test_data_are_the_golden_models_voxels_as_intensities():
    rendering = render(PROGRAM)
    voxels = Renderer(PROGRAM).render(PROGRAM.grid)
    values = PROGRAM.intensity.values(voxels, PROGRAM.formats.output_max)
    assert rendering.grid is PROGRAM.grid
    assert rendering.data.dtype == np.int16
    assert (rendering.data == to_intensities(values, np.int16)).all()


def test_metrics_of_a_comparison():
    image = noise(PROGRAM.grid.scaled(3))
    counts = []
    rendering = render(PROGRAM, image.grid, image=image, advance=counts.append)
    assert sum(counts) == image.grid.voxels
    low, high = image.intensity_range
    expected = {
        "voxels": image.grid.voxels,
        "voxels_per_second": image.grid.voxels / rendering.seconds,
        "psnr_db": psnr(image.data, rendering.data, high - low),
        "ssim": ssim(image.data, rendering.data, high - low),
    }
    assert rendering.metrics == expected
    assert set(render(PROGRAM).metrics) == {"voxels", "voxels_per_second"}


def test_an_image_of_another_shape_is_rejected():
    text = (
        r"^The image has 7 x 6 x 5 voxels and the grid 14 x 12 x 10: compare at scale 1, or .*\.$"
    )
    with pytest.raises(BadInput, match=text):
        render(PROGRAM, PROGRAM.grid.scaled(2), image=noise(PROGRAM.grid))


def test_a_volume_on_the_source_grid_keeps_its_affine(tmp_path):
    render(PROGRAM).save(tmp_path / "a.nii.gz")
    saved = nib.load(tmp_path / "a.nii.gz")
    assert np.array_equal(saved.affine, PROGRAM.grid.matrix)
    assert np.array_equal(np.asarray(saved.dataobj), render(PROGRAM).data)


def test_a_plane_becomes_a_picture(tmp_path):
    plane = PROGRAM.grid.scaled(4).middle_plane()
    render(PROGRAM, plane).save(tmp_path / "a.PNG")
    picture = Image.open(tmp_path / "a.PNG")
    assert picture.size == plane.shape[:2] and picture.mode == "L"


def test_patches_are_rendered_on_any_grid(tmp_path):
    program = random_program(NetworkShape(5, 7, 3, outputs=12), Formats(8, 8), patch=(3, 2, 2))
    renderer = Renderer(program)
    top = program.formats.output_max
    for name, grid in [
        ("a.nii", program.grid),
        ("b.nii.gz", program.grid.scaled(1.6)),
        ("c.png", program.grid.plane("coronal", program.grid.world([3, 3, 2])[1], 2)),
    ]:
        counts = []
        rendering = render(program, grid, advance=counts.append)
        expected = program.intensity.values(renderer.render(grid), top)
        assert (rendering.data == to_intensities(expected, np.int16)).all()
        assert rendering.data.shape == grid.shape and sum(counts) == grid.voxels
        rendering.save(tmp_path / name)
    assert np.asarray(nib.load(tmp_path / "b.nii.gz").dataobj).shape == (11, 10, 8)


def test_output_names_are_checked_before_rendering():
    plane = PROGRAM.grid.middle_plane()
    for name in ("a.nii", "a.nii.gz", "a.png", "a.NII.GZ"):
        check_output(name, plane)
    with pytest.raises(
        BadInput, match=r"^The output must end in \.nii, .* or \.png, not 'a\.jpg'\.$"
    ):
        check_output("b/a.jpg", plane)
    with pytest.raises(BadInput, match=r"^A PNG shows one plane: add --plane, or write a NIfTI"):
        check_output("a.png", PROGRAM.grid)
