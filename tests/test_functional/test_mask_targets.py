import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmcv.ops.roi_align import roi_align
from native_paths import path  # noqa: F401

from mmcp.functional import mask_targets
from mmcp.functional.mask_targets import crop_and_resize_patches
from mmcp.functional.patches import boxes_of, patch_from_bitmap

SHAPES = ((28, 28), (14, 14), (7, 11), (56, 56))


def reference(masks, boxes, rows, out_shape):
    """RoIAlign on whole masks, as MMDetection's mask targets."""
    real = torch.from_numpy(boxes)
    numbers = torch.arange(len(boxes), dtype=real.dtype)[:, None]
    chosen = torch.from_numpy(masks[rows])[:, None].to(real.dtype)
    rois = torch.cat([numbers, real], 1)
    out = roi_align(chosen, rois, out_shape, 1.0, 0, 'avg', True)
    return out[:, 0].numpy()


def ours(masks, boxes, rows, out_shape, **options):
    patches = [patch_from_bitmap(mask) for mask in masks]
    size = masks.shape[1:]
    return crop_and_resize_patches(
        patches, boxes, rows, out_shape, *size, **options
    )


def random_mask(rng, height, width):
    """A rectangle, an ellipse, a polygon or scattered pixels."""
    mask = np.zeros((height, width), np.uint8)
    x, y = (int(rng.integers(n)) for n in (width, height))
    a, b = (int(rng.integers(1, max(n // 2, 2))) for n in (width, height))
    kind = rng.integers(5)
    if kind == 0:
        angle = float(rng.integers(180))
        cv2.ellipse(mask, (x, y), (a, b), angle, 0, 360, 1, -1)
    elif kind == 1:
        points = rng.normal((x, y), (a / 2 + 1, b / 2 + 1), (8, 2))
        cv2.fillPoly(mask, [points.astype(np.int32)], 1)
    elif kind < 4:
        mask[max(y - b, 0) : y + b, max(x - a, 0) : x + a] = 1
        if kind == 3:
            mask[rng.random(mask.shape) > 0.5] = 0
    return mask


def random_boxes(rng, tight, height, width, kind):
    """Ground truth itself, integers, quarters, or any floats around it."""
    noise = rng.normal(0, 1, tight.shape)
    sides = np.maximum(tight[:, 2:] - tight[:, :2], 5).mean(1)[:, None]
    moved = {
        'tight': tight,
        'integers': np.round(tight + 3 * noise),
        'quarters': np.round(4 * (tight + noise)) / 4,
        'floats': tight + noise * 0.1 * sides,
        'anywhere': rng.random(tight.shape) * ([width, height] * 2),
    }[kind]
    ends = moved[:, :2], moved[:, 2:]
    return np.concatenate([np.minimum(*ends), np.maximum(*ends)], 1)


def clip(boxes, height, width):
    return np.clip(boxes, 0, [width, height, width, height])


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
@pytest.mark.parametrize(
    'kind', ['tight', 'integers', 'quarters', 'floats', 'anywhere']
)
@settings(max_examples=40)
@given(data=st.data())
def test_targets_equal_those_of_whole_masks(kind, dtype, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    height, width = rng.integers(1, 150, 2).tolist()
    masks = np.stack([random_mask(rng, height, width) for _ in range(4)])
    rows = rng.integers(0, 4, 16)
    tight = boxes_of([patch_from_bitmap(mask) for mask in masks])[rows]
    boxes = random_boxes(rng, tight, height, width, kind)
    if data.draw(st.booleans(), label='inside the image'):
        boxes = clip(boxes, height, width)
    boxes = boxes.astype(dtype)
    out_shape = data.draw(st.sampled_from(SHAPES))
    expected = reference(masks, boxes, rows, out_shape)
    hard = ours(masks, boxes, rows, out_shape)
    soft = ours(masks, boxes, rows, out_shape, binarize=False)
    assert hard.dtype == bool
    assert soft.dtype == dtype
    assert np.array_equal(hard, expected >= 0.5)
    assert np.abs(soft - expected).max() < 1e-5


def test_ties_are_decided_as_by_the_kernel(monkeypatch):
    """However the matrices' product is rounded, targets are the same."""
    rng = np.random.default_rng(0)
    masks = np.stack([random_mask(rng, 120, 120) for _ in range(40)])
    rows = np.arange(40)
    boxes = boxes_of([patch_from_bitmap(mask) for mask in masks])
    expected = reference(masks, boxes, rows, (28, 28)) >= 0.5
    matrices = mask_targets._matrices

    def rounded_down(*arguments):
        values, begin = matrices(*arguments)
        return values * np.float32(1 - 1e-6), begin

    monkeypatch.setattr(mask_targets, '_matrices', rounded_down)
    assert np.array_equal(ours(masks, boxes, rows, (28, 28)), expected)
    # Without the second look these targets would differ.
    monkeypatch.setattr(mask_targets, '_UNIT', -1.0)
    assert (ours(masks, boxes, rows, (28, 28)) != expected).sum() > 10


def test_large_masks_are_multiplied_in_bands(monkeypatch):
    rng = np.random.default_rng(2)
    masks = np.stack([random_mask(rng, 90, 80) for _ in range(20)])
    rows = np.arange(20)
    tight = boxes_of([patch_from_bitmap(mask) for mask in masks])
    boxes = random_boxes(rng, tight, 90, 80, 'floats').astype(np.float32)
    expected = reference(masks, boxes, rows, (28, 28))
    monkeypatch.setattr(mask_targets, '_BAND', 16)
    soft = ours(masks, boxes, rows, (28, 28), binarize=False)
    assert np.abs(soft - expected).max() < 1e-5
    hard = ours(masks, boxes, rows, (28, 28))
    assert np.array_equal(hard, expected >= 0.5)


def test_targets_by_hand():
    # One pixel of a 2x2 image, enlarged fourfold: bilinear, edges repeated.
    masks = np.array([[[1, 0], [0, 0]]], np.uint8)
    boxes = np.array([[0, 0, 2, 2]], np.float32)
    soft = ours(masks, boxes, np.array([0]), (4, 4), binarize=False)[0]
    weights = np.array([1, 0.75, 0.25, 0], np.float32)
    assert np.array_equal(soft, np.outer(weights, weights))
    hard = ours(masks, boxes, np.array([0]), (4, 4))[0]
    assert hard.tolist() == [
        [True, True, False, False],
        [True, True, False, False],
        [False] * 4,
        [False] * 4,
    ]


def test_boxes_of_no_size_and_masks_of_no_pixel_give_nothing():
    masks = np.zeros((2, 9, 9), np.uint8)
    masks[0, 2:7, 2:7] = 1
    boxes = np.array([[3, 3, 3, 6], [0, 0, 9, 9]], np.float32)
    assert not ours(masks, boxes, np.array([0, 1]), (5, 5)).any()
    assert not reference(masks, boxes, np.array([0, 1]), (5, 5)).any()


def test_more_boxes_than_are_computed_at_once(monkeypatch):
    rng = np.random.default_rng(1)
    masks = np.stack([random_mask(rng, 60, 70) for _ in range(7)])
    rows = rng.integers(0, 7, 50)
    boxes = clip(
        np.sort(rng.random((50, 2, 2)) * 70, 1).reshape(-1, 4), 60, 70
    )
    boxes = boxes.astype(np.float32)
    monkeypatch.setattr(mask_targets, '_BOXES_AT_ONCE', 8)
    expected = reference(masks, boxes, rows, (14, 14)) >= 0.5
    assert np.array_equal(ours(masks, boxes, rows, (14, 14)), expected)


@pytest.mark.parametrize(
    'box', [(5, 1, 4, 3), (1, 5, 3, 4), (0, 0, np.nan, 1), (0, 0, np.inf, 1)]
)
def test_bad_boxes_are_refused(box):
    masks = np.ones((1, 9, 9), np.uint8)
    with pytest.raises(ValueError, match='x1 <= x2'):
        ours(masks, np.array([box], np.float32), np.array([0]), (5, 5))
