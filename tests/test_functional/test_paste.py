import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from native_paths import path  # noqa: F401
from scipy.stats import chisquare

from mmcp.functional.jitter import JitterParams
from mmcp.functional.jittered_image import JitteredImage
from mmcp.functional.paste import (
    DropPolicy,
    PastedImage,
    covered,
    cut_patches,
    draw_count,
    draw_selection,
    paste_image,
    union_of,
    update_boxes,
)
from mmcp.functional.patches import (
    Patch,
    boxes_of,
    patch_from_bitmap,
    write_patch,
)

masks = hnp.arrays(np.uint8, (3, 8, 9), elements=st.integers(0, 1))


def patches_of(stack):
    return [patch_from_bitmap(mask) for mask in stack]


def square(x, y, side=2):
    return Patch(x, y, np.ones((side, side), np.uint8))


def full(patch, height=8, width=9):
    canvas = np.zeros((height, width), np.uint8)
    write_patch(patch, canvas)
    return canvas


def test_paste_image_whole_result():
    destination = np.full((4, 4), 10, np.uint8)
    source = np.arange(16, dtype=np.uint8).reshape(4, 4)
    patch = Patch(1, 1, np.array([[1, 0], [1, 1]], np.uint8))
    out = paste_image(destination, source, [patch])
    assert out.tolist() == [
        [10, 10, 10, 10],
        [10, 5, 10, 10],
        [10, 9, 10, 10],
        [10, 10, 10, 10],
    ]


@given(masks)
def test_union(stack):
    union = union_of(patches_of(stack))
    assert np.array_equal(full(union) != 0, stack.any(0))


@pytest.mark.parametrize(
    'dtype', ['uint8', 'uint16', 'int32', 'int64', 'float32', 'float16', bool]
)
@pytest.mark.parametrize('channels', [(), (1,), (3,), (4,), (7,)])
def test_paste_is_where_for_every_dtype_and_channel_count(dtype, channels):
    rng = np.random.default_rng(0)
    shape = (8, 9, *channels)
    destination = rng.integers(0, 255, shape).astype(dtype)
    source = rng.integers(0, 255, shape).astype(dtype)
    stack = rng.integers(0, 2, (2, 8, 9), dtype=np.uint8)
    out = paste_image(destination, source, patches_of(stack))
    where = stack.any(0).reshape(8, 9, *(1 for _ in channels))
    assert out.dtype == destination.dtype
    assert np.array_equal(out, np.where(where, source, destination))


@given(masks)
def test_paste_keeps_its_inputs_and_takes_read_only_strided_ones(stack):
    rng = np.random.default_rng(1)
    destination = rng.integers(0, 255, (8, 18, 3), dtype=np.uint8)[:, ::2]
    source = rng.integers(0, 255, (8, 9, 3), dtype=np.uint8)[:, ::-1]
    before = destination.copy(), source.copy(), stack.copy()
    for array in (destination, source, stack):
        array.setflags(write=False)
    out = paste_image(destination, source, patches_of(stack))
    expected = np.where(stack.any(0)[..., None], source, destination)
    assert np.array_equal(out, expected)
    assert not np.shares_memory(out, destination)
    for array, old in zip((destination, source, stack), before, strict=True):
        assert np.array_equal(array, old)


def test_paste_refuses_what_does_not_fit():
    image = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(ValueError, match='channels'):
        paste_image(image, np.zeros((4, 4, 4), np.uint8), [])
    with pytest.raises(TypeError, match='to_float32'):
        paste_image(image, np.zeros((4, 4, 3), np.float32), [])


@given(
    st.lists(
        st.tuples(st.integers(0, 52), st.integers(0, 52), st.integers(1, 8)),
        min_size=1,
        max_size=5,
    )
)
def test_blending_equals_the_smoothed_union_of_the_whole_image(squares):
    rng = np.random.default_rng(0)
    destination, source = rng.integers(0, 255, (2, 60, 60, 3), dtype=np.uint8)
    patches = [square(x, y, side) for x, y, side in squares]
    alpha = np.zeros((60, 60), np.float32)
    for x, y, side in squares:
        alpha[y : y + side, x : x + side] = 1
    alpha = cv2.GaussianBlur(
        alpha, (13, 13), 2.0, borderType=cv2.BORDER_REPLICATE
    )[..., None]
    expected = np.rint(source * alpha + destination * (1 - alpha))
    out = paste_image(destination, source, patches, blend_sigma=2.0)
    assert out.dtype == np.uint8
    assert np.abs(out.astype(int) - expected.astype(int)).max() <= 1
    assert (out == expected).mean() > 0.99


def test_blending_touches_only_the_windows_around_the_objects():
    destination = np.zeros((60, 60), np.float32)
    source = np.ones((60, 60), np.float32)
    out = paste_image(destination, source, [square(30, 30)], blend_sigma=2.0)
    changed = np.argwhere(out > 0)
    assert changed.min() >= 30 - 6
    assert changed.max() < 32 + 6
    assert 0 < out[30, 30] < 1


@given(masks, masks)
def test_cut_removes_exactly_the_union(below, above):
    before = below.copy()
    union = union_of(patches_of(above))
    cut = cut_patches(patches_of(below), union)
    left = below * (1 - above.any(0))
    for patch, mask, expected in zip(cut.patches, below, left, strict=True):
        assert np.array_equal(full(patch), expected)
        assert patch.extent == patch_from_bitmap(expected).extent
        assert mask is not expected
    changed = (left != below).any((1, 2))
    assert cut.lost.tolist() == changed.tolist()
    assert (
        cut.area.tolist()
        == np.where(changed, left.sum((1, 2), dtype=int), -1).tolist()
    )
    assert (
        cut.area_before.tolist()
        == np.where(changed, below.sum((1, 2), dtype=int), -1).tolist()
    )
    assert np.array_equal(below, before)


def test_an_untouched_mask_is_the_same_object():
    patch = square(5, 5)
    cut = cut_patches([patch], square(0, 0, 5))
    assert cut.patches[0] is patch
    assert cut.lost.tolist() == [False]


@pytest.mark.parametrize(
    ('mode', 'expected'),
    [
        ('if_changed', [[4, 0, 12, 8], [20.3, 20.4, 25.2, 25.1]]),
        ('always', [[4, 0, 12, 8], [20, 20, 25, 25]]),
        ('threshold', [[0.5, 0, 12, 8], [20.3, 20.4, 25.2, 25.1]]),
    ],
)
def test_update_boxes(mode, expected):
    boxes = np.array([[0.5, 0, 12, 8], [20.3, 20.4, 25.2, 25.1]], np.float32)
    patches = [Patch(0, 0, np.ones((8, 12), np.uint8)), square(20, 20, 5)]
    cut = cut_patches(patches, Patch(0, 0, np.ones((9, 4), np.uint8)))
    out = update_boxes(boxes, cut, mode, threshold=10.0)
    assert np.array_equal(out, np.array(expected, np.float32))
    assert out.dtype == np.float32
    moved = update_boxes(boxes, cut, 'threshold', threshold=3.0)
    assert moved[0].tolist() == [4, 0, 12, 8]


@pytest.mark.parametrize(
    ('shift', 'area', 'kept'),
    [
        (10.0, 300, True),  # neither limit is passed
        (10.5, 300, False),  # both are: 10.5 px and not above 300
        (10.5, 301, True),
        (10.0, 301, True),
    ],
)
def test_mmdet_policy_at_its_limits(shift, area, kept):
    visible = np.zeros((40, 40), np.uint8)
    visible.reshape(-1)[:area] = 1
    hidden = Patch(0, 20, np.ones((20, 40), np.uint8))
    cut = cut_patches([Patch(0, 0, np.ones((40, 40), np.uint8))], hidden)
    cut = cut._replace(
        patches=[patch_from_bitmap(visible)],
        area=np.array([area]),
    )
    boxes = boxes_of(cut.patches) + np.array([0, 0, 0, shift], np.float32)
    policy = DropPolicy(max_shift=10, area_over=300)
    assert policy.keeps(boxes, cut).tolist() == [kept]


@pytest.mark.parametrize(
    ('policy', 'kept'),
    [
        (DropPolicy(), [True, False, True]),
        (DropPolicy(min_visible_ratio=0.25), [True, False, True]),
        (DropPolicy(min_visible_ratio=0.26), [False, False, True]),
        (DropPolicy(min_area=1), [True, False, True]),
        (DropPolicy(min_area=2), [False, False, True]),
    ],
)
def test_policies(policy, kept):
    """One pixel of four is left; none is left; untouched and small."""
    patches = [square(0, 0), square(4, 0), Patch(8, 8, np.ones((1, 1), 'u1'))]
    above = Patch(0, 0, np.array([[0, 1, 0, 0, 1, 1]] + [[1] * 6], np.uint8))
    cut = cut_patches(patches, above)
    assert policy.keeps(boxes_of(patches), cut).tolist() == kept


def test_covered_points():
    union = Patch(1, 1, np.array([[1, 0], [1, 1]], np.uint8))
    points = np.array([[1.9, 1.9], [2.0, 1.0], [0.9, 1], [3, 3], [-5, 2]])
    assert covered(points, union).tolist() == [True] + [False] * 4


@pytest.mark.parametrize(
    ('low', 'high', 'values'),
    [
        (0, 4, range(5)),
        (1, 9, range(1, 5)),
        (1, 1, [1]),
        (9, 9, [4]),
        (0, 0, [0]),
    ],
)
def test_draw_count_is_uniform_with_both_ends(low, high, values):
    rng = np.random.default_rng(0)
    draws = [draw_count(rng, low, high, 4) for _ in range(4000)]
    counts = [draws.count(value) for value in values]
    assert sum(counts) == len(draws)
    assert min(counts) > 0
    if len(counts) > 1:
        assert chisquare(counts).pvalue > 1e-4


def test_draw_selection_follows_the_weights():
    rng = np.random.default_rng(0)
    weights = np.array([1.0, 0.0, 3.0])
    one = [draw_selection(rng, weights, 1)[0] for _ in range(4000)]
    counts = [one.count(value) for value in range(3)]
    assert counts[1] == 0
    assert chisquare([counts[0], counts[2]], [1000, 3000]).pvalue > 1e-4
    assert draw_selection(rng, weights, 2) == (0, 2)
    assert draw_selection(rng, np.zeros(3), 0) == ()


@pytest.mark.parametrize('sigma', [0.0, 1.5])
@pytest.mark.parametrize('jittered', [False, True])
def test_a_pasted_image_is_what_pasting_gives(sigma, jittered):
    rng = np.random.default_rng(0)
    below, above = rng.integers(0, 256, (2, 20, 24, 3), dtype=np.uint8)
    patches = [square(2, 3, 6), square(10, 9, 8)]
    destination = below
    if jittered:
        params = JitterParams((20, 24), (20, 24), 1.2, (1, 2), True)
        destination = JitteredImage(below, params)
    late = PastedImage(destination, above, patches, sigma)
    assert late.shape == (20, 24, 3)
    expected = paste_image(np.asarray(destination), above, patches, sigma)
    before = below.copy()
    for _ in range(2):
        np.testing.assert_array_equal(np.asarray(late), expected)
    np.testing.assert_array_equal(below, before)
    assert np.asarray(late, np.float32).dtype == np.float32
