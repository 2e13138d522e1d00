from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmcp.functional import color_jitter
from mmcp.functional.batched_views import (
    augment_views,
    blur_images,
    blur_radius,
    draw_partners,
    flip_images,
    gray_images,
    jitter_images,
    normalize_images,
    paste_images,
    shift_hues,
)
from mmcp.functional.views import (
    ViewParams,
    ViewSettings,
    augment_view,
    draw_view,
)

NEUTRAL = ViewParams(box=(0, 0, 1, 1))


def photo(seed, shape=(40, 48)):
    """Smooth coloured shapes with some noise, RGB."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (6, 6, 3), np.uint8)
    image = cv2.resize(small, shape[::-1], interpolation=cv2.INTER_CUBIC)
    noise = rng.integers(-6, 7, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def batch_of(images):
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)


def images_of(batch):
    return list(batch.permute(0, 2, 3, 1).numpy())


def vectors_of(params):
    return torch.from_numpy(np.stack([p.to_vector() for p in params]))


def draw_params(seed, count):
    rng = np.random.default_rng(seed)
    return [draw_view(rng, (40, 48), ViewSettings()) for _ in range(count)]


def filled(rows):
    """One image per row of colours, a row of pixels."""
    return torch.tensor(rows, dtype=torch.float32).permute(0, 2, 1)[:, :, None]


def test_each_step_is_that_of_the_cpu_path():
    steps = (
        (0, color_jitter.adjust_brightness, (0.6, 1.4)),
        (1, color_jitter.adjust_contrast, (0.6, 1.4)),
        (2, color_jitter.adjust_saturation, (0.6, 1.4)),
        (3, color_jitter.shift_hue, (-0.1, 0.1)),
    )
    image = photo(0)
    for number, adjust, values in steps:
        factors = torch.tensor([[1.0, 1.0, 1.0, 0.0]] * 2)
        factors[:, number] = torch.tensor(values)
        result = jitter_images(
            batch_of([image, image]).float(), factors, torch.tensor([0, 23])
        )
        for value, found in zip(values, images_of(result), strict=True):
            expected = adjust(image, value).astype(np.float32)
            off = np.abs(found - expected)
            assert off.max() <= 1, (adjust, value)
            # OpenCV computes the saturation with ten bits.
            assert (off > 0).mean() < 0.1, (adjust, value)


@pytest.mark.parametrize('order', range(24))
def test_every_order_is_that_of_the_cpu_path(order):
    image = photo(order)
    params = replace(
        NEUTRAL,
        brightness=1.35,
        contrast=0.65,
        saturation=1.4,
        hue=-0.1,
        order=order,
    )
    found = augment_views(batch_of([image]), vectors_of([params]))
    expected = augment_view(image, params).astype(np.float32)
    off = np.abs(images_of(found)[0] - expected)
    # A rounding that falls the other way can grow in the steps after it.
    assert (off > 1).mean() < 0.03
    assert off.max() <= 6
    # Other orders give other images.
    other = augment_view(image, replace(params, order=(order + 7) % 24))
    assert np.abs(other - expected).mean() > off.mean() + 0.5


@given(st.integers(0, 2**32 - 1))
def test_both_paths_give_the_same_images(seed):
    params = draw_params(seed, 4)
    images = [photo(seed + place) for place in range(4)]
    found = augment_views(batch_of(images), vectors_of(params))
    assert found.dtype == torch.float32
    assert torch.equal(found, found.round().clamp(0, 255))
    expected = [
        augment_view(image, param)
        for image, param in zip(images, params, strict=True)
    ]
    off = np.abs(np.stack(images_of(found)) - np.stack(expected))
    assert off.mean() < 0.25
    assert (off > 2).mean() < 0.02


def test_both_paths_give_the_same_statistics():
    params = draw_params(5, 128)
    images = [photo(place) for place in range(128)]
    found = images_of(augment_views(batch_of(images), vectors_of(params)))
    expected = [
        augment_view(image, param).astype(np.float32)
        for image, param in zip(images, params, strict=True)
    ]
    for measure, tolerance in (
        (lambda image: image.mean((0, 1)), 0.02),
        (lambda image: image.std((0, 1)), 0.02),
        (lambda image: np.ptp(image, axis=2).mean(), 0.02),
        (lambda image: np.sqrt(cv2.Laplacian(image, cv2.CV_32F).var()), 0.05),
    ):
        ours = np.mean([measure(image) for image in found], axis=0)
        theirs = np.mean([measure(image) for image in expected], axis=0)
        assert np.abs(ours - theirs).max() < tolerance


def test_images_do_not_depend_on_their_batch():
    params = draw_params(1, 6)
    images = batch_of([photo(place) for place in range(6)])
    vectors = vectors_of(params)
    together = augment_views(images, vectors)
    for place in range(6):
        one = slice(place, place + 1)
        alone = augment_views(images[one], vectors[one])
        assert (alone - together[one]).abs().max() <= 1
        assert (alone != together[one]).float().mean() < 1e-3


def test_neutral_parameters_change_nothing():
    images = batch_of([photo(0), photo(1)])
    before = images.clone()
    same = augment_views(images, vectors_of([NEUTRAL, NEUTRAL]))
    assert torch.equal(same, images.float())
    assert torch.equal(images, before)


def test_hues_by_hand():
    colours = [[255, 0, 0], [0, 200, 0], [10, 20, 110], [77, 77, 77]]
    turned = {
        1 / 3: [[0, 255, 0], [0, 0, 200], [110, 10, 20], [77, 77, 77]],
        -1 / 3: [[0, 0, 255], [200, 0, 0], [20, 110, 10], [77, 77, 77]],
        1 / 6: [[255, 255, 0], [0, 200, 200], [100, 10, 110], [77, 77, 77]],
        0.0: colours,
        1.0: colours,
    }
    images = filled([colours] * len(turned))
    found = shift_hues(images, torch.tensor(list(turned)))
    assert torch.equal(found, filled(list(turned.values())))


def test_gray_by_hand():
    images = filled([[[255, 0, 0], [0, 100, 200]]] * 2)
    found = gray_images(images, torch.tensor([True, False]))
    # 76.2 and 58.7 + 22.8
    assert torch.equal(
        found, filled([[[76] * 3, [82] * 3], [[255, 0, 0], [0, 100, 200]]])
    )


def test_blur_of_a_point_is_a_gaussian():
    images = torch.zeros(3, 2, 17, 17)
    images[:, :, 8, 8] = 255
    sigmas = torch.tensor([0.0, 1.0, 2.0])
    found = blur_images(images, sigmas, 6)
    assert torch.equal(found[0], images[0])
    steps = np.arange(-8, 9)
    for place, sigma in ((1, 1.0), (2, 2.0)):
        line = np.exp(-(steps**2) / (2 * sigma**2))
        line[np.abs(steps) > 6] = 0
        line /= line.sum()
        expected = np.round(255 * np.outer(line, line))
        for channel in range(2):
            np.testing.assert_allclose(
                found[place, channel].numpy(), expected, atol=1e-3
            )


def test_blur_repeats_the_border():
    found = blur_images(torch.full((1, 3, 5, 9), 200.0), torch.ones(1), 6)
    assert torch.equal(found, torch.full((1, 3, 5, 9), 200.0))


@pytest.mark.parametrize(
    ('sigma', 'radius'), [(0.0, 0), (0.1, 1), (2.0, 6), (2.1, 7)]
)
def test_radius_of_the_blur(sigma, radius):
    assert blur_radius(sigma) == radius


@pytest.mark.parametrize('dtype', [torch.bool, torch.uint8, torch.float32])
def test_flip_of_images_and_masks(dtype):
    images = torch.arange(12).reshape(2, 2, 3).to(dtype)
    found = flip_images(images, torch.tensor([False, True]))
    assert found.dtype == dtype
    assert torch.equal(found[0], images[0])
    assert torch.equal(found[1], images[1][:, [2, 1, 0]])
    deep = flip_images(images[:, None], torch.tensor([False, True]))
    assert torch.equal(deep[:, 0], found)


@given(st.data())
def test_pasting_is_exact_whatever_the_values(data):
    shape = (data.draw(st.integers(1, 3)), 3, 4, 5)
    seed = data.draw(st.integers(0, 2**32 - 1))
    generator = torch.Generator().manual_seed(seed)
    low, high = data.draw(st.sampled_from([(0, 1), (0, 3), (0, 256)]))
    foregrounds, backgrounds = torch.randint(
        low, high, (2, *shape), generator=generator
    ).float()
    masks = torch.rand(shape[0], 4, 5, generator=generator) < 0.6
    found = paste_images(foregrounds, backgrounds, masks)
    weights = masks[:, None].float()
    expected = foregrounds * weights + backgrounds * (1 - weights)
    assert torch.equal(found, expected)


def test_normalisation_by_hand():
    images = torch.tensor([10, 20, 30], dtype=torch.uint8).reshape(1, 3, 1, 1)
    mean, std = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([3.0, 2.0, 0.5])
    found = normalize_images(images, mean, std)
    assert found.flatten().tolist() == [3.0, 9.0, 54.0]


@given(st.integers(2, 40), st.integers(0, 2**32 - 1))
def test_partners_are_never_oneself_and_everybody_is_taken_once(count, seed):
    query, key = draw_partners(count, np.random.default_rng(seed))
    again = draw_partners(count, np.random.default_rng(seed))
    own = torch.arange(count)
    for partners in (query, key):
        assert torch.equal(partners.sort().values, own)
        assert not (partners == own).any()
    assert torch.equal(query, again[0])
    assert torch.equal(key, again[1])
    if count > 2:
        assert not (query == key).any()


def test_all_pairs_of_partners_are_equally_likely():
    rng = np.random.default_rng(0)
    counts = np.zeros((4, 4), int)
    for _ in range(6000):
        query, key = draw_partners(4, rng)
        counts[query[0], key[0]] += 1
    expected = np.ones((4, 4)) * 1000
    expected[0] = expected[:, 0] = 0
    np.fill_diagonal(expected, 0)
    assert np.abs(counts - expected).max() < 150


@pytest.mark.parametrize('count', [0, 1])
def test_one_sample_has_no_partner(count):
    with pytest.raises(ValueError, match=f'a batch of {count} has no other'):
        draw_partners(count, np.random.default_rng(0))


def test_parameters_must_fit_the_batch():
    with pytest.raises(
        ValueError, match=r'2 images need .*\(2, 8\).*\(3, 8\)'
    ):
        augment_views(torch.zeros(2, 3, 4, 4), torch.zeros(3, 8))
