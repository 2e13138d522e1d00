import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from native_paths import path  # noqa: F401
from scipy import stats

from mmcp.functional.jitter import (
    JitterParams,
    draw_jitter,
    jitter_boxes,
    jitter_homography,
    jitter_patch,
    jitter_points,
    jitter_seg_map,
)
from mmcp.functional.jittered_image import JitteredImage, jitter_image
from mmcp.functional.patches import (
    Patch,
    patch_from_bitmap,
    write_patch,
)

GRAY = (104, 116, 124)


def photograph(height, width, seed=0, channels=3):
    """Noise with the smoothness of a photograph."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (height, width, channels), dtype=np.uint8)
    soft = cv2.GaussianBlur(noise, (0, 0), 1.0).reshape(noise.shape)
    spread = (soft.astype(np.float32) - 128) * 3 + 128
    return np.clip(spread, 0, 255).astype(np.uint8)


def slowly(image, params, interpolation, pad):
    """The four steps one after the other, each on the whole image."""
    resized = cv2.resize(
        image, params.resized[::-1], interpolation=interpolation
    ).reshape(*params.resized, *image.shape[2:])
    (y, x), (h, w) = params.offset, params.window
    window = resized[y : y + h, x : x + w]
    if params.flip:
        window = window[:, ::-1]
    canvas = np.empty((*params.output, *image.shape[2:]), image.dtype)
    canvas[...] = pad
    canvas[:h, :w] = window
    return canvas


SIDES = st.integers(5, 90)
RATIOS = st.floats(0.1, 3)


@st.composite
def jitters(draw, sides=SIDES, ratios=RATIOS):
    """Any jitter, corners of the crop's range included."""
    image_size, output = (draw(sides), draw(sides)), (draw(sides), draw(sides))
    free = JitterParams(image_size, output, draw(ratios))
    offset = tuple(
        draw(st.integers(0, r - w))
        for r, w in zip(free.resized, free.window, strict=True)
    )
    return JitterParams(
        image_size, output, free.ratio, offset, draw(st.booleans())
    )


def test_sizes_of_a_known_case():
    params = JitterParams((480, 640), (1024, 1024), 1.5, (10, 20), True)
    assert params.scale == (1536, 1536)
    assert params.resized == (1152, 1536)
    assert params.window == (1024, 1024)
    assert params.scale_factor == (2.4, 2.4)
    small = JitterParams((480, 640), (1024, 1024), 0.1)
    assert small.resized == small.window == (77, 102)


def test_the_longer_side_takes_the_longer_edge():
    wide = JitterParams((100, 200), (400, 300), 1.0)
    assert wide.resized == (200, 400)


def test_a_tiny_ratio_leaves_one_pixel():
    params = JitterParams((500, 10), (8, 8), 0.01)
    assert params.resized == (1, 1)
    assert jitter_image(photograph(500, 10), params).shape == (8, 8, 3)


@given(jitters())
def test_image_matches_the_four_steps(params):
    image = photograph(*params.image_size)
    out = jitter_image(image, params, GRAY)
    assert out.dtype == np.uint8
    assert out.strides[1:] == (3, 1)
    expected = slowly(image, params, cv2.INTER_LINEAR, GRAY)
    difference = np.abs(out.astype(int) - expected)
    assert difference.mean() <= 1
    assert difference.max() <= 6


@pytest.mark.parametrize(
    ('image_size', 'output', 'ratio', 'offset'),
    [
        ((23, 5), (5, 16), 1.5, (0, 0)),
        ((400, 300), (300, 300), 401 / 300, (50, 0)),
        ((300, 400), (300, 300), 399 / 300, (0, 99)),
        ((300, 300), (200, 200), 1.5, (33, 44)),
    ],
)
def test_a_factor_close_to_one(image_size, output, ratio, offset):
    """OpenCV copies, whatever the factor, what keeps its size."""
    params = JitterParams(image_size, output, ratio, offset)
    image = photograph(*image_size)
    expected = slowly(image, params, cv2.INTER_LINEAR, GRAY)
    difference = np.abs(
        jitter_image(image, params, GRAY) - expected.astype(int)
    )
    assert difference.max() <= 4
    assert difference.mean() <= 0.5


@settings(max_examples=20)
@given(jitters(st.integers(150, 700), st.floats(1, 2)))
def test_large_images_match_the_four_steps(params):
    image = photograph(*params.image_size)
    out = jitter_image(image, params, GRAY)
    expected = slowly(image, params, cv2.INTER_LINEAR, GRAY)
    assert np.abs(out.astype(int) - expected).mean() <= 0.8


@given(jitters())
def test_image_is_exact_where_nothing_is_cropped_at_the_start(params):
    params = JitterParams(
        params.image_size, params.output, params.ratio, (0, 0), params.flip
    )
    image = photograph(*params.image_size)
    expected = slowly(image, params, cv2.INTER_LINEAR, GRAY)
    out = jitter_image(image, params, GRAY)
    # A mirrored input is rounded the other way.
    limit = 4 if params.flip else 1
    assert np.abs(out.astype(int) - expected).max() <= limit


@settings(max_examples=20)
@given(jitters(st.integers(150, 700), st.floats(1, 2)), st.data())
def test_a_window_is_that_of_the_whole(params, data):
    image = photograph(*params.image_size)
    whole = jitter_image(image, params, GRAY).astype(int)
    lazy = JitteredImage(image, params, GRAY)
    assert (lazy.shape, lazy.dtype) == (whole.shape, np.uint8)
    np.testing.assert_array_equal(np.asarray(lazy), whole)
    sides = []
    for side in params.output:
        first = data.draw(st.integers(0, side - 1))
        sides.append(slice(first, data.draw(st.integers(first + 1, side))))
    window = lazy[sides[0], sides[1]]
    assert window.shape == whole[sides[0], sides[1]].shape
    difference = np.abs(window - whole[sides[0], sides[1]])
    assert difference.max() <= 8
    assert difference.size < 3000 or difference.mean() <= 1.2


@pytest.mark.parametrize('channels', [None, 1, 3])
def test_a_window_of_no_pixels_is_empty(channels):
    image = photograph(40, 60, channels=channels or 1)
    if channels is None:
        image = image[..., 0]
    params = JitterParams((40, 60), (64, 64), 0.1, (0, 0), True)
    lazy = JitteredImage(image, params)
    rest = () if channels is None else (channels,)
    assert lazy[2:2, 1:3].shape == (0, 2, *rest)
    assert lazy[1:3, 0:0].shape == (2, 0, *rest)
    assert lazy[3:1, 64:].shape == (0, 0, *rest)


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize('channels', [None, 1, 2, 4, 6])
def test_dtypes_and_channels(dtype, channels):
    image = photograph(40, 60, channels=channels or 1).astype(dtype)
    if channels is None:
        image = image[..., 0]
    params = JitterParams((40, 60), (64, 64), 1.4, (0, 11), True)
    out = jitter_image(image, params, 7)
    assert out.dtype == dtype
    expected = slowly(image, params, cv2.INTER_LINEAR, 7)
    assert out.shape == expected.shape
    assert np.abs(out.astype(float) - expected).mean() <= 1


def test_views_and_read_only_images_are_accepted_and_kept():
    image = photograph(50, 60)
    params = JitterParams((50, 60), (64, 64), 1.5, (4, 5), True)
    expected = jitter_image(image, params)
    mirrored = np.ascontiguousarray(image[:, ::-1])[:, ::-1]
    image.flags.writeable = False
    before = image.copy()
    np.testing.assert_array_equal(jitter_image(mirrored, params), expected)
    np.testing.assert_array_equal(jitter_image(image, params), expected)
    np.testing.assert_array_equal(image, before)


@given(jitters())
def test_seg_map_is_exact(params):
    rng = np.random.default_rng(1)
    seg = rng.integers(0, 9, params.image_size, dtype=np.uint8)
    expected = slowly(seg, params, cv2.INTER_NEAREST, 255)
    np.testing.assert_array_equal(jitter_seg_map(seg, params), expected)


@given(jitters(), st.integers(0, 2**31))
def test_patch_is_exact_and_tight(params, seed):
    rng = np.random.default_rng(seed)
    height, width = params.image_size
    mask = np.zeros((height, width), np.uint8)
    y, x = rng.integers(0, height), rng.integers(0, width)
    part = mask[y : y + rng.integers(1, 40), x : x + rng.integers(1, 40)]
    part[...] = rng.random(part.shape) < 0.7
    moved = jitter_patch(patch_from_bitmap(mask), params)
    canvas = np.zeros(params.output, np.uint8)
    write_patch(moved, canvas)
    expected = slowly(mask, params, cv2.INTER_NEAREST, 0)
    np.testing.assert_array_equal(canvas, expected)
    assert moved.bitmap.shape == patch_from_bitmap(canvas).bitmap.shape


def test_an_empty_patch_stays_empty():
    params = JitterParams((40, 60), (64, 64), 1.4)
    empty = Patch(0, 0, np.zeros((0, 0), np.uint8))
    assert jitter_patch(empty, params).bitmap.size == 0


@given(jitters())
def test_points_follow_the_homography(params):
    rng = np.random.default_rng(2)
    points = rng.uniform(-5, 95, (6, 2))
    matrix = jitter_homography(params).astype(float)
    ones = np.concatenate([points, np.ones((6, 1))], 1)
    np.testing.assert_allclose(
        jitter_points(points, params), (ones @ matrix.T)[:, :2], atol=1e-3
    )


def test_homography_of_a_known_case_follows_an_earlier_one():
    params = JitterParams((10, 20), (20, 20), 2.0, (3, 5), True)
    expected = [[-2, 0, 25], [0, 2, -3], [0, 0, 1]]
    np.testing.assert_array_equal(jitter_homography(params), expected)
    before = np.diag([2.0, 3, 1])
    composed = jitter_homography(params, before)
    np.testing.assert_array_equal(composed, np.array(expected) @ before)
    assert composed.dtype == np.float32


def test_boxes_of_a_known_case():
    # Twice as large, window of columns 5 to 25 and rows 0 to 20, mirrored.
    params = JitterParams((10, 20), (20, 20), 2.0, (0, 5), True)
    boxes = np.array(
        [[4, 1, 6, 3], [0, 1, 4, 3], [0, 0, 2, 3], [13, 0, 20, 3],
         [-3, 1, 7, 30]],
        np.float32,
    )  # fmt: skip
    moved = jitter_boxes(boxes, params)
    expected = [[13, 2, 17, 6], [17, 2, 20, 6], [20, 0, 20, 6],
                [0, 0, 0, 6], [11, 2, 20, 20]]  # fmt: skip
    np.testing.assert_array_equal(moved.boxes, expected)
    assert moved.inside.tolist() == [True, True, False, False, True]
    assert moved.cut.tolist() == [False, True, True, True, True]


def test_clipping_to_the_image_is_no_cut():
    params = JitterParams((10, 20), (80, 80), 1.0)
    moved = jitter_boxes(np.array([[-1, 2, 21, 9.5]], np.float32), params)
    assert moved.cut.tolist() == [False]
    np.testing.assert_array_equal(moved.boxes, [[0, 8, 80, 38]])


def test_no_boxes():
    params = JitterParams((10, 20), (40, 40), 2.0, flip=True)
    moved = jitter_boxes(np.zeros((0, 4), np.float32), params)
    assert moved.boxes.shape == (0, 4)
    assert moved.inside.shape == moved.cut.shape == (0,)


def test_draws_are_uniform():
    """Ratio by Kolmogorov-Smirnov, offsets and flip by chi-square."""
    rng = np.random.default_rng(0)
    size, output = (30, 40), (40, 40)
    drawn = [
        draw_jitter(rng, size, output, (0.5, 2), 0.3) for _ in range(4000)
    ]
    ratios = [params.ratio for params in drawn]
    assert stats.kstest(ratios, stats.uniform(0.5, 1.5).cdf).pvalue > 0.01
    flips = sum(params.flip for params in drawn)
    assert stats.binomtest(flips, 4000, 0.3).pvalue > 0.01
    again = [
        draw_jitter(rng, size, output, (1.1, 1.1), 0) for _ in range(4000)
    ]
    assert {params.window for params in again} == {(33, 40)}
    columns = np.bincount([params.offset[1] for params in again], minlength=5)
    assert len(columns) == 5
    assert stats.chisquare(columns).pvalue > 0.01
    assert not any(params.flip for params in again)


def test_rows_are_drawn_too():
    rng = np.random.default_rng(0)
    drawn = [
        draw_jitter(rng, (44, 20), (40, 40), (1.1, 1.1), 1)
        for _ in range(2000)
    ]
    rows = np.bincount([params.offset[0] for params in drawn], minlength=5)
    assert len(rows) == 5
    assert stats.chisquare(rows).pvalue > 0.01
    assert all(params.flip for params in drawn)
