import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from implicore.model import metrics
from implicore.model.metrics import psnr, ssim


def pair(shape, dtype=np.uint8, seed=0):
    rng = np.random.default_rng(seed)
    reference = rng.integers(0, 256, shape).astype(dtype)
    image = np.clip(reference + rng.normal(0, 9, shape), 0, 255).astype(dtype)
    return reference, image


def test_psnr_of_a_known_error():
    reference = np.zeros((10, 10, 10), np.uint8)
    image = np.full_like(reference, 255)
    assert psnr(reference, image, 255) == 0
    # Unsigned integers must not wrap around: 0 - 1 is an error of 1, not of 255.
    assert psnr(reference, reference + np.uint8(1), 10) == 20


def test_psnr_of_identical_images():
    reference, _ = pair((5, 6, 7))
    assert psnr(reference, reference.copy(), 255) == math.inf


@pytest.mark.parametrize("shape", [(9, 10, 11), (128, 96, 100), (40,)])
def test_psnr_agrees_with_scikit_image(shape):
    reference, image = pair(shape, np.float32)
    expected = peak_signal_noise_ratio(
        reference.astype(np.float64), image.astype(np.float64), data_range=255
    )
    assert psnr(reference, image, 255) == pytest.approx(expected, rel=1e-12)


def test_ssim_of_identical_images():
    reference, _ = pair((9, 9, 9))
    assert ssim(reference, reference.copy(), 255) == 1


@pytest.mark.parametrize("shape", [(9, 10, 11), (30, 20, 25), (7, 7, 7), (30, 40)])
@pytest.mark.parametrize("block", [1, 2000, 1 << 20])
def test_ssim_agrees_with_scikit_image_in_any_slabs(monkeypatch, shape, block):
    monkeypatch.setattr(metrics, "_BLOCK", block)
    reference, image = pair(shape)
    expected = structural_similarity(reference, image, data_range=255)
    assert ssim(reference, image, 255) == pytest.approx(expected, rel=1e-12)


def test_ssim_of_a_plane_is_two_dimensional():
    reference, image = pair((30, 40, 1))
    expected = ssim(reference[..., 0], image[..., 0], 255)
    assert ssim(reference, image, 255) == expected


@pytest.mark.parametrize("shape", [(2, 2, 2), (3, 30, 40), (6, 7, 8), (1, 1, 1), (2, 20, 1)])
def test_ssim_of_images_smaller_than_the_window(shape):
    reference, image = pair(shape)
    assert ssim(reference, reference, 255) == 1
    assert -1 <= ssim(reference, image, 255) < 1


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_wrong_arguments(metric):
    volume = np.zeros((8, 8, 8))
    with pytest.raises(ValueError, match=r"^The images' shapes must agree: \(8, 8, 8\), \(8, 8\)$"):
        metric(volume, volume[0], 1)
    with pytest.raises(ValueError, match=r"^The images must not be empty$"):
        metric(volume[:0], volume[:0], 1)
    with pytest.raises(ValueError, match=r"^The peak must be positive, not 0$"):
        metric(volume, volume, 0)
