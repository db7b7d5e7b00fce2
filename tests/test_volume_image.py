import nibabel as nib
import numpy as np
import pytest
import scans

from implicore.errors import BadInput
from implicore.grid import Grid
from implicore.model.volume import Volume, crop, load_volume, to_intensities


def test_intensity_range(tmp_path):
    ranges = [
        load_volume(
            scans.write_nifti(tmp_path / "scan.nii", scans.voxels(dtype, 10, 100))
        ).intensity_range
        for dtype in ("u1", "i2", "f4")
    ]
    data = scans.voxels("i2", 10, 100)
    own = (float(data.min()), float(data.max()))
    assert ranges == [(0.0, 255.0), own, own]


def test_crop_keeps_every_voxel_in_its_place(tmp_path):
    volume = load_volume(scans.write_nifti(tmp_path / "scan.nii", scans.voxels()))
    part = crop(volume, "2:6,1:4,0:5")
    assert np.array_equal(part.data, volume.data[2:6, 1:4])
    assert part.grid.shape == (4, 3, 5)
    # nibabel's own slicer, which forms the same sums
    expected = nib.load(tmp_path / "scan.nii").slicer[2:6, 1:4, 0:5].affine
    assert np.allclose(part.grid.matrix, expected, rtol=0, atol=1e-14)
    assert np.array_equal(part.grid.matrix[:, :3], volume.grid.matrix[:, :3])
    assert crop(volume, "0:6,0:7,0:5").grid == volume.grid


@pytest.mark.parametrize("text", ["", "1:2,3:4", "0:6,0:7,0:-1", ":,:,:", "0:6,0:7,0:5 "])
def test_crop_syntax(text):
    with pytest.raises(
        BadInput, match=r"^The crop must have the form X0:X1,Y0:Y1,Z0:Z1, not '.*'\.$"
    ):
        crop(Volume(scans.voxels(), Grid.from_array(scans.SHAPE, scans.affine()), "scan.nii"), text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "0:6,3:8,0:5",
            r"^The crop 3:8 along Y is empty or extends beyond the 7 voxels of scan\.nii\.$",
        ),
        (
            "4:4,0:7,0:5",
            r"^The crop 4:4 along X is empty or extends beyond the 6 voxels of scan\.nii\.$",
        ),
        (
            "0:6,0:7,2:3",
            r"^The crop 0:6,0:7,2:3 of scan\.nii is a single slice of 6 x 7 x 1 voxels, "
            r"not a volume: at least 2 are needed along each axis\.$",
        ),
    ],
)
def test_crop_range(text, message):
    with pytest.raises(BadInput, match=message):
        crop(Volume(scans.voxels(), Grid.from_array(scans.SHAPE, scans.affine()), "scan.nii"), text)


def test_rounding_is_half_up_and_clipped():
    values = np.array([-300.5, -0.5, -0.4, 0.5, 1.5, 2.49, 254.5, 255.4, 1e30, -1e30])
    assert to_intensities(values, np.uint8).tolist() == [0, 0, 0, 1, 2, 2, 255, 255, 255, 0]
    assert to_intensities(values, np.int16).tolist() == [
        *(-300, 0, 0, 1, 2, 2, 255, 255, 32767, -32768)
    ]
    # The largest float below one half: adding 0.5 would round it up to 1.
    assert to_intensities(np.nextafter(0.5, 0), np.int16) == 0
    assert to_intensities(np.float32(3e9), np.int32) == 2**31 - 1
    assert to_intensities(np.array([-1, 300]), np.uint8).tolist() == [0, 255]
    floats = np.array([0.5, -7.25])
    assert to_intensities(floats, np.float32).tolist() == [0.5, -7.25]
