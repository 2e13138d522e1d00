import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcp.functional.blurring import gaussian_blur, gaussian_kernel


def exact(image, sigma):
    reach = int(np.ceil(4 * sigma)) * 2 + 1
    return cv2.GaussianBlur(
        image.astype(np.float64),
        (reach, reach),
        sigma,
        borderType=cv2.BORDER_REPLICATE,
    )


@given(st.floats(0, 8))
def test_weights(sigma):
    kernel = gaussian_kernel(sigma)
    assert kernel.dtype == np.float32
    assert len(kernel) % 2 == 1
    assert kernel.sum() == 1
    assert (kernel == kernel[::-1]).all()
    assert (kernel * 256 % 1 == 0).all()
    reach = len(kernel) // 2
    places = np.arange(-4 * reach - 4, 4 * reach + 5)
    weights = np.exp(-0.5 * (places / max(sigma, 0.2)) ** 2)
    inside = slice(3 * reach + 4, 5 * reach + 5)
    difference = kernel - (weights / weights.sum())[inside]
    assert np.abs(difference).max() <= 1.5 / 256


@pytest.mark.parametrize('sigma', [0.3, 0.5, 0.8, 1.1, 1.5, 2.0])
def test_it_is_a_gaussian_within_a_few_gray_levels(sigma):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (40, 30, 3), np.uint8)
    blurred = gaussian_blur(image, sigma)
    difference = blurred - exact(image, sigma)
    assert np.abs(difference).max() < 2.5
    assert abs(difference.mean()) < 0.05


def test_gray_images_and_flat_ones():
    flat = np.full((9, 7), 200, np.uint8)
    assert (gaussian_blur(flat, 2.0) == flat).all()
    image = np.zeros((9, 7), np.uint8)
    image[4, 3] = 255
    blurred = gaussian_blur(image, 1.0)
    assert blurred.shape == image.shape
    assert blurred[4, 3] == round(255 * gaussian_kernel(1.0).max() ** 2)


def test_borders_go_on():
    image = np.zeros((20, 20), np.uint8)
    image[:, :1] = 100
    blurred = gaussian_blur(image, 1.0)
    # Left of the border lie columns of 100 too.
    assert blurred[10, 0] > 60


def test_no_blur():
    image = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert gaussian_blur(image, 0.0) is image
    assert gaussian_blur(image, 0.1) is image
    with pytest.raises(ValueError, match='sigma must be >= 0'):
        gaussian_blur(image, -1.0)
