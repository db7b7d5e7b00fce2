import numpy as np
import pytest
from PIL import Image

from implicore.errors import BadInput
from implicore.model.volume import save_plane_png


def test_png_is_upright(tmp_path):
    plane = np.zeros((4, 3))
    plane[3, 2] = 100.0  # right, top
    plane[0, 0] = -50.0  # left, bottom
    save_plane_png(tmp_path / "plane.png", plane, -50.0, 100.0)
    picture = Image.open(tmp_path / "plane.png")
    assert picture.mode == "L"
    assert np.asarray(picture).tolist() == [[85, 85, 85, 255], [85, 85, 85, 85], [0, 85, 85, 85]]


def test_png_rejects_invalid_arguments(tmp_path):
    with pytest.raises(BadInput, match=r"^A plane is written as \.png, not as plane\.jpg\.$"):
        save_plane_png(tmp_path / "plane.jpg", np.zeros((4, 3)), 0, 1)
    with pytest.raises(ValueError, match=r"^The darkest value, 1, must be below the brightest, 1$"):
        save_plane_png(tmp_path / "plane.png", np.zeros((4, 3)), 1, 1)
