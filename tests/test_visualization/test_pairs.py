"""Pictures of pairs."""

import numpy as np
import pytest
import torch

from mmcp.visualization.pairs import (
    MIN_SIDE,
    draw_pairs,
    enlarge,
    outline_foreground,
    to_images,
)

MEAN = torch.tensor([120.0, 110.0, 100.0]).view(3, 1, 1)
STD = torch.tensor([60.0, 50.0, 40.0]).view(3, 1, 1)


def random_images(count, side=200, seed=0):
    rng = np.random.default_rng(seed)
    return [
        rng.integers(0, 200, (side, side, 3), np.uint8) for _ in range(count)
    ]


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_every_gray_level_comes_back(dtype):
    levels = torch.arange(256, dtype=dtype).view(1, 16, 16)
    images = torch.stack([levels, 255 - levels, levels.mT], 1)
    normalised = (images - MEAN) / STD
    (image,) = to_images(normalised, MEAN, STD)
    assert image.dtype == np.uint8
    expected = images[0].byte().numpy().transpose(1, 2, 0)[..., ::-1]
    assert np.array_equal(image, expected)


def test_values_outside_are_clipped():
    normalised = torch.tensor([-100.0, 100.0]).view(2, 1, 1, 1)
    dark, bright = to_images(normalised.expand(2, 3, 1, 1), MEAN, STD)
    assert dark.tolist() == [[[0, 0, 0]]]
    assert bright.tolist() == [[[255, 255, 255]]]


def test_channels_last_is_read_alike():
    images = torch.randn(2, 3, 5, 7)
    last = images.to(memory_format=torch.channels_last)
    for a, b in zip(
        to_images(images, MEAN, STD), to_images(last, MEAN, STD), strict=True
    ):
        assert np.array_equal(a, b)


@pytest.mark.parametrize(
    ('shape', 'factor'),
    [((160, 40), 1), ((159, 40), 2), ((500, 300), 1), ((32, 32), 5)],
)
def test_small_images_are_enlarged_by_a_whole_factor(shape, factor):
    image = np.random.default_rng(0).integers(0, 255, (*shape, 3), np.uint8)
    large = enlarge(image)
    assert max(large.shape) >= MIN_SIDE
    assert large.shape == (shape[0] * factor, shape[1] * factor, 3)
    assert np.array_equal(large[::factor, ::factor], image)
    assert np.array_equal(large[factor - 1 :: factor, ::factor], image)


def test_the_outline_follows_the_border_of_the_foreground():
    image = np.full((200, 200, 3), 128, np.uint8)
    mask = np.zeros((200, 200), bool)
    mask[50:150, 60:120] = True
    drawn = (outline_foreground(image, mask) != image).any(axis=2)
    border = np.zeros_like(mask)
    border[47:153, 57:123] = True
    border[53:147, 63:117] = False
    assert not drawn[~border].any()
    assert drawn[50, 60:120].all()
    assert drawn[149, 60:120].all()
    assert drawn[50:150, 60].all()
    assert drawn[50:150, 119].all()


def test_inputs_are_left_alone_and_without_masks_no_line_is_drawn():
    query, key = random_images(1), random_images(1, seed=1)
    masks = np.ones((1, 200, 200), bool)
    before = [image.copy() for image in query + key]
    with_line = draw_pairs(query, key, masks, masks)
    plain = draw_pairs(query, key)
    for image, old in zip(query + key, before, strict=True):
        assert np.array_equal(image, old)
    assert plain.shape == with_line.shape
    assert not np.array_equal(plain, with_line)
    assert np.array_equal(plain[-206:-6, 6:206], query[0])
    assert np.array_equal(plain[-206:-6, 212:412], key[0])


@pytest.mark.parametrize(
    ('count', 'columns', 'rows'), [(1, 2, 1), (2, 2, 1), (3, 2, 2), (5, 1, 5)]
)
def test_pairs_fill_rows(count, columns, rows):
    one = draw_pairs(random_images(1), random_images(1))
    many = draw_pairs(
        random_images(count), random_images(count), columns=columns
    )
    pairs = min(columns, count)
    assert many.shape[1] == 6 + pairs * (one.shape[1] - 6)
    assert many.shape[0] == one.shape[0] + (rows - 1) * 206


def test_no_pair_and_unequal_numbers_are_refused():
    with pytest.raises(ValueError, match='no picture'):
        draw_pairs([], [])
    with pytest.raises(ValueError, match='shorter'):
        draw_pairs(random_images(2), random_images(1))
