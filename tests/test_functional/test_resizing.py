import cv2
import numpy as np
import pytest
from PIL import Image

from mmcp.functional.resizing import resize_antialiased


def photo(rng, height, width):
    """Edges and noise at all scales, as in photographs."""
    image = np.zeros((height, width, 3))
    for scale in (4, 8, 16, 32, 64):
        shape = (height // scale + 2, width // scale + 2, 3)
        noise = rng.uniform(-1, 1, shape).astype(np.float32)
        image += scale**0.8 * cv2.resize(noise, (width, height))
    for _ in range(12):
        x, y = rng.integers(width), rng.integers(height)
        colour = rng.uniform(-40, 40, 3).tolist()
        radius = int(rng.integers(5, 60))
        cv2.circle(image, (int(x), int(y)), radius, colour, -1)
    image += rng.normal(0, 2, image.shape)
    return (image + 128).clip(0, 255).astype(np.uint8)


def energy(image):
    """Energy of the Laplacian, which blur takes away."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return cv2.Laplacian(gray, -1).var()


def with_pil(image, size):
    resized = Image.fromarray(image).resize(size[::-1], Image.BILINEAR)
    return np.asarray(resized)


@pytest.mark.parametrize(
    'scale', [0.5, 0.9, 1.0, 1.05, 1.2, 1.4, 1.7, 2.0, 2.3, 3.0, 4.0, 5.0]
)
def test_it_is_as_sharp_as_pil(scale):
    rng = np.random.default_rng(0)
    ratios, differences = [], []
    for _ in range(4):
        side = round(112 * scale)
        image = photo(rng, side, side)
        ours = resize_antialiased(image, (112, 112))
        theirs = with_pil(image, (112, 112))
        ratios.append(energy(ours) / energy(theirs))
        differences.append(np.abs(ours.astype(int) - theirs).mean())
    assert 0.85 < np.mean(ratios) < 1.15
    assert np.mean(differences) < 1.5


def test_without_the_filter_it_would_not_be():
    image = photo(np.random.default_rng(0), 190, 190)
    theirs = with_pil(image, (112, 112))
    plain = cv2.resize(image, (112, 112))
    assert energy(plain) / energy(theirs) > 1.5


def test_axes_are_independent():
    rng = np.random.default_rng(1)
    for height, width in ((60, 300), (300, 60), (224, 130)):
        image = photo(rng, height, width)
        ours = resize_antialiased(image, (112, 112))
        theirs = with_pil(image, (112, 112))
        assert 0.8 < energy(ours) / energy(theirs) < 1.2


def test_enlarging_is_plain_bilinear():
    image = photo(np.random.default_rng(2), 50, 70)
    ours = resize_antialiased(image, (112, 112))
    assert (ours == cv2.resize(image, (112, 112))).all()
    assert np.abs(ours.astype(int) - with_pil(image, (112, 112))).max() <= 1


def test_nothing_outside_of_the_part_is_read():
    whole = np.full((400, 400, 3), 255, np.uint8)
    whole[100:300, 100:300] = 7
    part = resize_antialiased(whole[100:300, 100:300], (112, 112))
    assert (part == 7).all()
    assert (whole[:100] == 255).all()


def test_shapes():
    gray = np.zeros((300, 200), np.uint8)
    assert resize_antialiased(gray, (112, 64)).shape == (112, 64)
    one = np.full((1, 1, 3), 5, np.uint8)
    assert (resize_antialiased(one, (8, 8)) == 5).all()


def test_a_reduced_image_is_filtered_less():
    image = photo(np.random.default_rng(3), 150, 150)
    plain = resize_antialiased(image, (112, 112))
    reduced = resize_antialiased(image, (112, 112), reduced=True)
    assert energy(reduced) > energy(plain) * 1.02
