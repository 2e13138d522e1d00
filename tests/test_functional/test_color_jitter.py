import colorsys
import sys
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2] / 'benchmarks'))

from cp2_input_speed.reference import jitter

from mmcp.functional.color_jitter import (
    ORDERS,
    adjust_brightness,
    adjust_contrast,
    adjust_saturation,
    jitter_colors,
    shift_hue,
    to_gray,
)
from mmcp.functional.views import ViewParams

IMAGES = arrays(np.uint8, (4, 5, 3))
FACTORS = st.floats(0.6, 1.4)
PIXEL = np.array([[[100, 150, 200]]], np.uint8)
# 0.299 * 100 + 0.587 * 150 + 0.114 * 200
GRAY = 140.75


def test_orders_are_all_permutations():
    assert ORDERS == tuple(permutations((0, 1, 2, 3)))
    assert len(ORDERS) == 24


def test_by_hand():
    assert adjust_brightness(PIXEL, 1.2).tolist() == [[[120, 180, 240]]]
    assert adjust_brightness(PIXEL, 1.4).tolist() == [[[140, 210, 255]]]
    # 1.4 * x - 0.4 * 141, the rounded gray
    assert adjust_contrast(PIXEL, 1.4).tolist() == [[[84, 154, 224]]]
    expected = np.rint(0.5 * PIXEL + 0.5 * GRAY)
    assert (adjust_saturation(PIXEL, 0.5) == expected).all()
    assert to_gray(PIXEL).tolist() == [[[141, 141, 141]]]
    # A third of a turn exchanges the channels.
    assert shift_hue(PIXEL, 1 / 3).tolist() == [[[200, 100, 150]]]
    assert shift_hue(PIXEL, -1 / 3).tolist() == [[[150, 200, 100]]]


@given(IMAGES, FACTORS)
def test_brightness_is_a_product(image, factor):
    expected = np.rint(image * factor).clip(0, 255)
    assert (adjust_brightness(image, factor) == expected).all()


@given(IMAGES, FACTORS)
def test_contrast_mixes_with_the_mean_gray(image, factor):
    mean = (image @ [0.299, 0.587, 0.114]).mean()
    expected = (image * factor + mean * (1 - factor)).clip(0, 255)
    difference = adjust_contrast(image, factor) - expected
    assert np.abs(difference).max() <= 0.8


@given(IMAGES, FACTORS)
def test_saturation_mixes_with_gray(image, factor):
    gray = image @ [[0.299], [0.587], [0.114]]
    expected = (image * factor + gray * (1 - factor)).clip(0, 255)
    difference = adjust_saturation(image, factor) - expected
    # OpenCV's weights have ten bits.
    assert np.abs(difference).max() <= 1.0


@given(IMAGES, st.floats(-0.5, 0.5))
def test_hue_is_that_of_colorsys(image, turns):
    def shifted(pixel):
        hue, saturation, value = colorsys.rgb_to_hsv(*(pixel / 255))
        return colorsys.hsv_to_rgb((hue + turns) % 1, saturation, value)

    expected = 255 * np.apply_along_axis(shifted, 2, image)
    difference = np.abs(shift_hue(image, turns) - expected)
    assert difference.max() <= 0.51


@given(IMAGES, FACTORS, FACTORS, FACTORS, st.integers(0, 23))
def test_any_order_is_that_of_pil(image, bright, contrast, saturation, order):
    """PIL cuts decimals off, so each step may lose a level."""
    params = ViewParams(
        (0, 0, 5, 4), bright, contrast, saturation, order=order
    )
    theirs = np.asarray(jitter(Image.fromarray(image), params)).astype(int)
    ours = jitter_colors(image, (bright, contrast, saturation, 0.0), order)
    assert np.abs(ours - theirs).max() <= 5


@pytest.mark.parametrize('order', range(24))
def test_on_a_photograph_it_is_that_of_pil(order):
    rng = np.random.default_rng(order)
    y, x = np.mgrid[:64, :64]
    image = np.stack([2 * x + 60, 2 * y + 40, 3 * np.abs(x - y)], 2)
    image = (image + rng.normal(0, 5, image.shape)).clip(0, 255)
    image = image.astype(np.uint8)
    factors = (*rng.uniform(0.6, 1.4, 3), rng.uniform(-0.1, 0.1))
    params = ViewParams((0, 0, 64, 64), *factors, order=order)
    theirs = np.asarray(jitter(Image.fromarray(image), params)).astype(int)
    difference = jitter_colors(image, factors, order) - theirs
    # PIL's hue has 8 bits only: six levels a step where colours are strong.
    assert np.abs(difference).mean() < 3
    assert abs(difference.mean()) < 2


def test_nothing_to_change_and_inputs_unchanged():
    image = np.random.default_rng(0).integers(0, 256, (6, 6, 3), np.uint8)
    before = image.copy()
    assert jitter_colors(image, (1.0, 1.0, 1.0, 0.0), 5) is image
    jitter_colors(image, (0.7, 1.2, 0.8, 0.05), 5)
    assert (image == before).all()


def test_orders_matter():
    image = np.random.default_rng(0).integers(0, 256, (6, 6, 3), np.uint8)
    factors = (1.4, 0.6, 1.3, 0.1)
    results = {
        jitter_colors(image, factors, order).tobytes() for order in range(24)
    }
    assert len(results) > 12
