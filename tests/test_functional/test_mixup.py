"""Tests of mixup on images."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, kstest

from mmcp.functional.mixup import draw_weight, mix_images

DTYPES = ('uint8', 'uint16', 'int32', 'int64', 'float16', 'float32')


def test_a_mix_is_the_weighted_mean_and_rounds():
    destination = np.array([[0, 100], [200, 255]], np.uint8)
    source = np.array([[100, 0], [200, 1]], np.uint8)

    mixed = mix_images(destination, source, 0.25)

    assert mixed.dtype == np.uint8
    assert mixed.tolist() == [[75, 25], [200, 64]]


@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('channels', [(), (1,), (3,), (5,)])
def test_images_of_other_sizes_meet_at_the_top_left(dtype, channels):
    rng = np.random.default_rng(0)
    destination = rng.integers(0, 200, (5, 4, *channels)).astype(dtype)
    source = rng.integers(0, 200, (3, 7, *channels)).astype(dtype)

    mixed = mix_images(destination, source, 0.3)

    exact = destination.astype(float)
    exact[:3] = 0.3 * exact[:3] + 0.7 * source[:, :4].astype(float)
    tolerance = 0.2 if dtype.startswith('float') else 0.501
    assert (mixed.shape, mixed.dtype) == (destination.shape, dtype)
    assert np.abs(mixed - exact).max() <= tolerance
    assert mixed[3:].tolist() == destination[3:].tolist()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), weight=st.floats(0, 1))
def test_properties(seed, weight):
    rng = np.random.default_rng(seed)
    size = tuple(rng.integers(1, 9, 2))
    first, second = rng.integers(0, 256, (2, *size, 3), dtype=np.uint8)
    before = first.copy(), second.copy()

    mixed = mix_images(first, second, weight).astype(int)

    assert (mixed >= np.minimum(first, second)).all()
    assert (mixed <= np.maximum(first, second)).all()
    other = mix_images(second, first, 1 - weight).astype(int)
    assert np.abs(mixed - other).max() <= 1
    assert np.array_equal(mix_images(first, second, 1.0), first)
    assert np.array_equal(mix_images(first, second, 0.0), second)
    assert np.array_equal(mix_images(first, first, weight), first)
    assert np.array_equal(first, before[0])
    assert np.array_equal(second, before[1])


def test_read_only_and_strided_images_are_mixed():
    first = np.arange(96, dtype=np.uint8).reshape(4, 8, 3)[:, ::-1]
    first.flags.writeable = False
    second = np.zeros((3, 4, 8), np.uint8).transpose(1, 2, 0)

    mixed = mix_images(first, second, 0.5)

    assert mixed.flags.c_contiguous
    assert np.array_equal(mixed, np.rint(first / 2))


def test_an_empty_source_leaves_the_image():
    image = np.full((2, 3), 7, np.uint8)
    assert np.array_equal(mix_images(image, image[:0], 0.5), image)


def test_what_does_not_fit_is_told():
    image = np.zeros((2, 2, 3), np.uint8)
    with pytest.raises(ValueError, match='same channels'):
        mix_images(image, image[..., :1], 0.5)
    with pytest.raises(TypeError, match='float32 image into a uint8'):
        mix_images(image, image.astype(np.float32), 0.5)
    for weight in (-0.1, 1.1, float('nan')):
        with pytest.raises(ValueError, match='weight must lie'):
            mix_images(image, image, weight)


@pytest.mark.parametrize('alpha', [0.2, 1.5])
def test_weights_follow_the_beta_distribution(alpha):
    rng = np.random.default_rng(0)
    drawn = [draw_weight(rng, alpha) for _ in range(2000)]
    assert kstest(drawn, beta(alpha, alpha).cdf).pvalue > 0.01
