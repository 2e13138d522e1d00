"""Outlines and textures that scenes are made of."""

import cv2
import numpy as np
import pytest

from mmcp.demo import CLASSES
from mmcp.demo.shapes import OUTLINES, draw_outline
from mmcp.demo.textures import TEXTURES, draw_texture, shrink, value_noise


def fill(loops, side=200):
    canvas = np.zeros((side, side), dtype=np.uint8)
    scaled = [
        np.rint((loop + 1) * (side - 1) / 2).astype(np.int32) for loop in loops
    ]
    cv2.fillPoly(canvas, scaled, 1)
    return canvas


def test_every_class_has_an_outline():
    assert sorted(OUTLINES) == sorted(CLASSES)


@pytest.mark.parametrize('name', CLASSES)
def test_outline_stays_in_the_unit_circle_and_is_one_piece(name):
    for seed in range(20):
        loops = draw_outline(name, np.random.default_rng(seed))
        points = np.concatenate(loops)
        assert (points**2).sum(axis=1).max() <= 1 + 1e-9
        parts, _ = cv2.connectedComponents(fill(loops), connectivity=8)
        assert parts == 2  # background and one object
        assert fill(loops).mean() > 0.1


@pytest.mark.parametrize('name', CLASSES)
def test_outline_varies_and_repeats(name):
    first, again, other = (
        np.concatenate(draw_outline(name, np.random.default_rng(seed)))
        for seed in (1, 1, 2)
    )
    assert (first == again).all()
    assert first.shape != other.shape or not np.allclose(first, other)


@pytest.mark.parametrize(('name', 'holes'), [('ring', 1), ('gear', 1)])
def test_hole_is_empty(name, holes):
    loops = draw_outline(name, np.random.default_rng(0))
    assert len(loops) == 1 + holes
    assert fill(loops)[100, 100] == 0


@pytest.mark.parametrize('name', TEXTURES)
def test_texture_uses_both_tones(name):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        weight = draw_texture(name, (48, 40), 9.0, rng)
        assert weight.shape == (48, 40)
        assert weight.dtype == np.float64
        assert weight.min() >= 0
        assert weight.max() <= 1
        assert 0.1 < weight.mean() < 0.9
        assert weight.max() - weight.min() > 0.8


def test_shrink_averages_blocks():
    array = np.array([[0.0, 1.0, 4.0, 4.0], [2.0, 1.0, 0.0, 0.0]])
    assert shrink(array, 2).tolist() == [[1.0, 2.0]]


def test_value_noise_interpolates_linearly():
    noise = value_noise((5, 9), 4.0, np.random.default_rng(0))
    grid = noise[::4, ::4]
    assert noise[0, 4] == grid[0, 1]
    assert noise[2, 0] == pytest.approx((grid[0, 0] + grid[1, 0]) / 2)
    assert noise[0, 5] == pytest.approx(0.75 * grid[0, 1] + 0.25 * grid[0, 2])
