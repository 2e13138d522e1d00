import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.datasets.transforms import CopyPaste as MMDetCopyPaste
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from mmengine.registry import TRANSFORMS
from paste_samples import (
    SIZE,
    polygons,
    random_sample,
    rectangle,
    sample,
    with_source,
)
from scipy.stats import chisquare


def build(**kwargs):
    return TRANSFORMS.build(dict(type='mmcp.CopyPaste', **kwargs))


def paste_all(destination, source, **kwargs):
    return build(num_pasted='all', **kwargs)(with_source(destination, source))


def xyxy(results):
    boxes = results['gt_bboxes']
    return (
        boxes.tolist()
        if isinstance(boxes, np.ndarray)
        else (boxes.tensor.tolist())
    )


def equal(a, b):
    """Deep equality of two results dicts, dtypes included."""
    assert a.keys() == b.keys()
    for key, value in a.items():
        other = b[key]
        assert type(value) is type(other), key
        if isinstance(value, BitmapMasks):
            value, other = value.masks, other.masks
        if isinstance(value, HorizontalBoxes):
            value, other = value.numpy(), other.numpy()
        if isinstance(value, list):
            for left, right in zip(value, other, strict=True):
                equal(left, right)
        elif isinstance(value, np.ndarray):
            assert value.dtype == other.dtype, key
            assert np.array_equal(value, other), key
        else:
            assert value == other, key


def snapshot(results):
    return copy.deepcopy(results)


# --- S1 to S4: pixels, masks, boxes, survivors -----------------------------


def test_a_small_paste_whole_result():
    destination = sample(
        [rectangle(0, 0, 4, 4, (5, 6)), rectangle(1, 1, 2, 2, (5, 6))],
        labels=[7, 8],
        boxes=[[0.2, 0.1, 3.9, 4.0], [1, 1, 2, 2]],
        size=(5, 6),
        value=1,
    )
    source = sample(
        [rectangle(1, 1, 6, 3, (5, 6)), rectangle(2, 1, 4, 4, (5, 6))],
        labels=[3, 4],
        boxes=[[1.0, 1.0, 5.7, 3.2], [2, 1, 4, 4]],
        size=(5, 6),
        value=9,
    )
    out = paste_all(destination, source)
    assert out['img'][..., 0].tolist() == [
        [1, 1, 1, 1, 1, 1],
        [1, 9, 9, 9, 9, 9],
        [1, 9, 9, 9, 9, 9],
        [1, 1, 9, 9, 1, 1],
        [1, 1, 1, 1, 1, 1],
    ]
    assert out['gt_masks'].masks.tolist() == [
        [
            [1, 1, 1, 1, 0, 0],
            [1, 0, 0, 0, 0, 0],
            [1, 0, 0, 0, 0, 0],
            [1, 1, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0],
        ],
        rectangle(1, 1, 6, 3, (5, 6)).tolist(),
        rectangle(2, 1, 4, 4, (5, 6)).tolist(),
    ]
    assert np.array_equal(
        np.array(xyxy(out), np.float32),
        np.array([[0, 0, 4, 4], [1, 1, 5.7, 3.2], [2, 1, 4, 4]], np.float32),
    )
    assert out['gt_bboxes_labels'].tolist() == [7, 3, 4]
    assert out['gt_ignore_flags'].tolist() == [False] * 3
    assert 'mix_results' not in out


counts = st.integers(0, 6)
seeds = st.integers(0, 2**32 - 1)


@given(counts, counts, seeds)
@settings(max_examples=60)
def test_properties_of_a_random_paste(below, above, seed):
    rng = np.random.default_rng(seed)
    destination = random_sample(rng, below)
    source = random_sample(rng, above)
    before = snapshot(destination), snapshot(source)
    np.random.seed(seed)  # noqa: NPY002
    out = build()(with_source(destination, source))
    equal(destination, before[0])  # S11
    equal(source, before[1])
    masks = out['gt_masks'].masks
    lengths = {
        len(out[key])
        for key in (
            'gt_masks',
            'gt_bboxes',
            'gt_bboxes_labels',
            'gt_ignore_flags',
        )
    }
    assert len(lengths) == 1
    if out['img'] is not destination['img']:
        assert all(mask.any() for mask in masks)
    changed = (out['img'] != destination['img']).any(-1)
    union = source['gt_masks'].masks.any(0) if above else np.zeros(SIZE, bool)
    assert not changed[~union].any()
    assert np.array_equal(out['img'][changed], source['img'][changed])


@given(counts, st.integers(1, 6), seeds)
@settings(max_examples=60)
def test_pasting_all_against_the_definition(below, above, seed):
    rng = np.random.default_rng(seed)
    destination = random_sample(rng, below)
    source = random_sample(rng, above)
    out = paste_all(destination, source)
    objects = source['gt_masks'].masks
    objects = objects[objects.any((1, 2))]
    union = objects.any(0)
    if not union.any():
        return
    assert np.array_equal(
        out['img'],
        np.where(union[..., None], source['img'], destination['img']),
    )
    old = destination['gt_masks'].masks
    left = old * ~union
    seen = left.any((1, 2))
    assert np.array_equal(
        out['gt_masks'].masks, np.concatenate([left[seen], objects])
    )
    tight = BitmapMasks(left, *SIZE).get_bboxes('hbox').numpy()
    lost = (left != old).any((1, 2))
    boxes = destination['gt_bboxes'].numpy()
    expected = np.where(lost[:, None], tight, boxes)[seen]
    assert np.array_equal(out['gt_bboxes'].numpy()[: seen.sum()], expected)


@pytest.mark.parametrize(
    'box', [(0, 0, 4, 4), (44, 36, 48, 40), (20, 20, 24, 24)]
)
def test_a_fully_covered_object_goes_wherever_it_is(box):
    x0, y0, x1, y1 = box
    destination = sample([rectangle(*box)], labels=[5])
    cover = rectangle(max(x0 - 2, 0), max(y0 - 2, 0), x1 + 2, y1 + 2)
    out = paste_all(destination, sample([cover], labels=[6]))
    assert out['gt_bboxes_labels'].tolist() == [6]
    assert np.array_equal(out['gt_masks'].masks, cover[None])


def test_one_visible_pixel_is_enough():
    destination = sample([rectangle(10, 10, 14, 14)], labels=[5])
    cover = rectangle(0, 0, 48, 40)
    cover[13, 13] = 0
    out = paste_all(destination, sample([cover], labels=[6]))
    assert out['gt_bboxes_labels'].tolist() == [5, 6]
    assert xyxy(out)[0] == [13, 13, 14, 14]
    assert out['gt_masks'].masks[0].sum() == 1


def test_a_ring_survivor_keeps_its_box():
    destination = sample([rectangle(10, 10, 20, 20)], labels=[5])
    source = sample([rectangle(11, 11, 19, 19)], labels=[6])
    for kwargs in ({}, dict(drop='mmdet')):
        out = paste_all(destination, source, **kwargs)
        assert out['gt_bboxes_labels'].tolist() == [5, 6]
        assert xyxy(out)[0] == [10, 10, 20, 20]
        assert out['gt_masks'].masks[0].sum() == 36


@pytest.mark.parametrize(
    ('bottom', 'shift', 'kept'),
    [
        (30, 10.0, True),  # 10 columns of 30 = 300 pixels, moved by 10.0
        (30, 10.5, False),
        (31, 10.5, True),  # 310 pixels
    ],
)
def test_mmdet_drop_limits(bottom, shift, kept):
    """The visible part is 10 pixels wide; the box ended `shift` beyond."""
    old = rectangle(0, 0, 20, bottom)
    destination = sample([old], boxes=[[0, 0, 10 + shift, bottom]])
    source = sample([rectangle(10, 0, 48, 40)], labels=[6])
    out = paste_all(destination, source, drop='mmdet')
    assert out['gt_bboxes_labels'].tolist() == ([0, 6] if kept else [6])
    # Giving a threshold selects the same policy, as MMDetection's names do.
    again = paste_all(destination, source, mask_occluded_thr=300)
    assert again['gt_bboxes_labels'].tolist() == ([0, 6] if kept else [6])


def test_mmdet_area_limit_is_exclusive():
    for area, kept in ((300, False), (301, True)):
        mask = rectangle(0, 0, 40, 40)
        visible = np.zeros(SIZE, np.uint8)
        visible[:20, :20].reshape(-1)
        flat = np.zeros(400, np.uint8)
        flat[:area] = 1
        visible[:20, :20] = flat.reshape(20, 20)
        source = sample([1 - visible], labels=[6])
        out = paste_all(sample([mask]), source, drop='mmdet')
        assert (0 in out['gt_bboxes_labels']) == kept


@pytest.mark.parametrize(
    ('drop', 'labels'),
    [
        (None, [0, 1, 9]),
        ({'min_visible_ratio': 0.5}, [0, 9]),
        ({'min_area': 9}, [1, 9]),
        ({'min_area': 30, 'min_visible_ratio': 0.5}, [9]),
    ],
)
def test_drop_policies(drop, labels):
    """Object 0 keeps 8 of 16 pixels, object 1 keeps 20 of 100."""
    destination = sample([rectangle(0, 0, 4, 4), rectangle(20, 0, 30, 10)])
    source = sample(
        [rectangle(2, 0, 6, 6) | rectangle(22, 0, 40, 12)], labels=[9]
    )
    out = paste_all(destination, source, drop=drop)
    assert out['gt_bboxes_labels'].tolist() == labels


def test_dropped_objects_can_stay_as_ignored_regions():
    destination = sample([rectangle(0, 0, 4, 4), rectangle(20, 0, 30, 10)])
    source = sample(
        [rectangle(1, 0, 6, 6) | rectangle(20, 0, 40, 12)], labels=[9]
    )
    out = paste_all(
        destination, source, drop={'min_area': 5}, dropped='ignore'
    )
    assert out['gt_bboxes_labels'].tolist() == [0, 9]
    assert out['gt_ignore_flags'].tolist() == [True, False]
    assert xyxy(out)[0] == [0, 0, 1, 4]


def test_an_untouched_box_keeps_its_float_value():
    box = [10.25, 10.5, 19.75, 20.0]
    destination = sample([rectangle(10, 10, 20, 20)], boxes=[box])
    source = sample([rectangle(30, 30, 40, 40)])
    assert xyxy(paste_all(destination, source))[0] == box
    always = paste_all(destination, source, box_update='always')
    assert xyxy(always)[0] == [10, 10, 20, 20]


def test_threshold_update_moves_coordinates_one_by_one():
    box = [0.5, 0.5, 29.5, 20.0]
    destination = sample([rectangle(0, 0, 30, 20)], boxes=[box])
    source = sample([rectangle(0, 0, 15, 40) | rectangle(0, 15, 48, 40)])
    out = paste_all(destination, source, box_update='threshold')
    assert xyxy(out)[0] == [15, 0.5, 29.5, 20.0]
    out = paste_all(
        destination,
        source,
        box_update='threshold',
        bbox_occluded_thr=4,
    )
    assert xyxy(out)[0] == [15, 0.5, 29.5, 15]


# --- S5: how many ----------------------------------------------------------


def num_pasted_of(transform, source, repeats=1):
    destination = sample()
    np.random.seed(0)  # noqa: NPY002
    results = with_source(destination, source)
    return [len(transform(results)['gt_bboxes']) for _ in range(repeats)]


def apart(count):
    """Objects that do not overlap."""
    return sample(
        [rectangle(2 * i, 0, 2 * i + 1, 1) for i in range(count)],
    )


@pytest.mark.parametrize(
    ('kwargs', 'expected'),
    [
        ({}, {0, 1, 2, 3, 4}),
        (dict(num_pasted=(1, None)), {1, 2, 3, 4}),
        (dict(num_pasted=(2, 3)), {2, 3}),
        (dict(num_pasted=2), {2}),
        (dict(num_pasted='one'), {1}),
        (dict(num_pasted='all'), {4}),
        (dict(selected=False), {4}),
        (dict(max_num_pasted=2), {0, 1, 2}),
        (dict(max_num_pasted=1), {0, 1}),
        (dict(max_num_pasted=0), {0}),
        (dict(max_num_pasted=9), {0, 1, 2, 3, 4}),
        (dict(num_pasted='all', max_num_pasted=3), {3}),
        (dict(num_pasted=(6, 8)), {4}),
    ],
)
def test_count(kwargs, expected):
    drawn = num_pasted_of(build(**kwargs), apart(4), 400)
    assert set(drawn) == expected
    if len(expected) > 1:
        counts = [drawn.count(value) for value in sorted(expected)]
        assert chisquare(counts).pvalue > 1e-4


def test_a_single_object_is_pasted_half_of_the_time():
    drawn = num_pasted_of(build(), apart(1), 1000)
    assert chisquare([drawn.count(0), drawn.count(1)]).pvalue > 1e-4


def test_every_object_is_equally_likely_and_order_is_the_sources():
    transform = build(num_pasted=(2, 2))
    results = with_source(sample(), apart(4))
    np.random.seed(0)  # noqa: NPY002
    seen = np.zeros(4, int)
    for _ in range(600):
        labels = transform(results)['gt_bboxes_labels'].tolist()
        assert labels == sorted(set(labels))
        seen[labels] += 1
    assert chisquare(seen).pvalue > 1e-4


def test_more_than_a_hundred_objects():
    masks = [
        rectangle(i % 48, i // 48, i % 48 + 1, i // 48 + 1) for i in range(130)
    ]
    out = paste_all(sample(), sample(masks))
    assert len(out['gt_bboxes']) == 100
    out = paste_all(sample(), sample(masks), max_num_pasted=130)
    assert len(out['gt_bboxes']) == 130


def test_prob():
    transform = build(num_pasted='all', prob=0.25)
    drawn = num_pasted_of(transform, apart(1), 1000)
    counts = [drawn.count(0), drawn.count(1)]
    assert chisquare(counts, [750, 250]).pvalue > 1e-4
    assert set(num_pasted_of(build(prob=0.0), apart(4), 50)) == {0}


# --- S6, S8: what may be pasted --------------------------------------------


def test_crowd_is_not_pasted_but_cut():
    crowd = rectangle(0, 0, 20, 20)
    destination = sample([crowd], labels=[1], flags=[True])
    source = sample(
        [rectangle(5, 5, 9, 9), rectangle(30, 30, 35, 35)],
        labels=[2, 3],
        flags=[False, True],
    )
    out = paste_all(destination, source)
    assert out['gt_bboxes_labels'].tolist() == [1, 2]
    assert out['gt_ignore_flags'].tolist() == [True, False]
    assert np.array_equal(
        out['gt_masks'].masks[0], crowd - rectangle(5, 5, 9, 9)
    )
    out = paste_all(destination, source, paste_crowd=True)
    assert out['gt_bboxes_labels'].tolist() == [1, 2, 3]
    assert out['gt_ignore_flags'].tolist() == [True, False, True]


@pytest.mark.parametrize('mode', ['if_changed', 'always', 'threshold'])
def test_an_ignored_box_without_a_mask_stays(mode):
    """LoadAnnotations gives an object with a broken polygon no mask."""
    destination = sample(
        [np.zeros(SIZE, np.uint8)], boxes=[[3, 3, 8, 8]], flags=[True]
    )
    source = sample([rectangle(20, 20, 24, 24)])
    out = paste_all(destination, source, box_update=mode)
    assert xyxy(out) == [[3, 3, 8, 8], [20, 20, 24, 24]]
    assert out['gt_ignore_flags'].tolist() == [True, False]


@pytest.mark.parametrize(
    ('kwargs', 'pasted'),
    [
        (dict(allow=[1, 3]), [1, 3]),
        (dict(deny=[1]), [0, 2, 3]),
        (dict(allow=[1, 3], deny=[3]), [1]),
        (dict(class_weights={0: 0, 2: 0.0}), [1, 3]),
        (dict(class_weights=[0, 1, 1, 0]), [1, 2]),
        (dict(allow=[]), []),
    ],
)
def test_classes(kwargs, pasted):
    out = paste_all(sample(), apart(4), **kwargs)
    assert out['gt_bboxes_labels'].tolist() == pasted


def test_class_weights_are_proportions():
    transform = build(num_pasted='one', class_weights={0: 3.0})
    results = with_source(sample(), apart(2))
    np.random.seed(0)  # noqa: NPY002
    labels = [transform(results)['gt_bboxes_labels'][0] for _ in range(800)]
    counts = [labels.count(0), labels.count(1)]
    assert chisquare(counts, [600, 200]).pvalue > 1e-4


class NamedDataset:
    metainfo = dict(classes=('cat', 'dog', 'bird', 'horse'))

    def __len__(self):
        return 5


def test_class_names_come_from_the_dataset():
    transform = build(num_pasted='all', allow=['dog', 'bird'], deny=['bird'])
    with pytest.raises(ValueError, match='give class indices'):
        transform(with_source(sample(), apart(4)))
    transform.get_indexes(NamedDataset())
    out = transform(with_source(sample(), apart(4)))
    assert out['gt_bboxes_labels'].tolist() == [1]
    with pytest.raises(ValueError, match="did you mean 'horse'"):
        build(deny=['hors']).get_indexes(NamedDataset())


def test_get_indexes_reaches_both_ends():
    np.random.seed(0)  # noqa: NPY002
    transform = build()
    drawn = [transform.get_indexes(NamedDataset()) for _ in range(500)]
    assert chisquare([drawn.count(i) for i in range(5)]).pvalue > 1e-4


def test_a_destination_mask_without_pixels_goes_unless_ignored():
    empty = np.zeros(SIZE, np.uint8)
    destination = sample(
        [empty, rectangle(0, 0, 4, 4), empty], flags=[False, False, True]
    )
    out = paste_all(destination, sample([rectangle(20, 20, 24, 24)], [9]))
    assert out['gt_bboxes_labels'].tolist() == [1, 2, 9]


def test_mmdet_drop_looks_at_every_objects_own_box():
    """Only the third is touched; it shrinks by 15 pixels to 25."""
    destination = sample(
        [
            rectangle(0, 0, 6, 6),
            rectangle(0, 10, 6, 16),
            rectangle(20, 20, 40, 25),
        ]
    )
    source = sample([rectangle(25, 18, 48, 30)], labels=[9])
    out = paste_all(destination, source, drop='mmdet')
    assert out['gt_bboxes_labels'].tolist() == [0, 1, 9]
    assert len(paste_all(destination, source)['gt_bboxes']) == 4


# --- S7: blending ----------------------------------------------------------


def test_blending_softens_pixels_and_leaves_labels_hard():
    destination = sample([rectangle(0, 0, 20, 20)], value=0)
    source = sample([rectangle(10, 10, 20, 20)], value=200, labels=[3])
    hard = paste_all(destination, source)
    soft = paste_all(destination, source, blend='gaussian', blend_sigma=1.0)
    for key in ('gt_masks', 'gt_bboxes', 'gt_bboxes_labels'):
        equal({key: hard[key]}, {key: soft[key]})
    assert soft['img'].dtype == np.uint8
    row = soft['img'][15, :, 0].astype(int)
    assert 0 < row[9] < row[10] < 200
    assert row[15] == 200
    assert (row[:6] == 0).all()
    assert (row[24:] == 0).all()


# --- S9: other annotations -------------------------------------------------


def test_seg_map_takes_the_sources_labels():
    source = sample([rectangle(5, 5, 9, 9)], gt_seg_map=np.full(SIZE, 4, 'u1'))
    seg = np.full(SIZE, 2, np.uint8)
    out = paste_all(sample(gt_seg_map=seg), source)
    assert np.array_equal(out['gt_seg_map'], 2 + 2 * rectangle(5, 5, 9, 9))
    assert out['gt_seg_map'].dtype == np.uint8
    assert (seg == 2).all()
    del source['gt_seg_map']
    with pytest.raises(ValueError, match=r"no 'gt_seg_map'.*\(with_seg=True"):
        paste_all(sample(gt_seg_map=seg), source)


@pytest.mark.parametrize(
    ('below', 'above', 'message'),
    [
        (np.zeros(SIZE, 'u1'), np.full(SIZE, 300), 'uint8, the destination'),
        (np.zeros((9, 9), 'u1'), np.zeros(SIZE, 'u1'), r'\(9, 9\), but its'),
        (np.zeros(SIZE, 'u1'), np.zeros((9, 9), 'u1'), r'\(9, 9\), but its'),
    ],
)
def test_a_seg_map_that_does_not_fit_is_named(below, above, message):
    source = sample([rectangle(5, 5, 9, 9)], gt_seg_map=above)
    with pytest.raises(ValueError, match=message):
        paste_all(sample(gt_seg_map=below), source)


def test_a_seg_map_of_another_dtype_is_converted():
    source = sample([rectangle(5, 5, 9, 9)], gt_seg_map=np.full(SIZE, 4))
    out = paste_all(sample(gt_seg_map=np.zeros(SIZE, 'u1')), source)
    assert out['gt_seg_map'].dtype == np.uint8
    assert np.array_equal(out['gt_seg_map'], 4 * rectangle(5, 5, 9, 9))


def test_instance_ids_stay_unique():
    destination = sample(
        [rectangle(0, 0, 4, 4), rectangle(20, 20, 24, 24)],
        gt_instances_ids=np.array([7, 3]),
    )
    source = sample([rectangle(0, 0, 5, 5), rectangle(8, 8, 9, 9)])
    out = paste_all(destination, source)
    assert out['gt_instances_ids'].tolist() == [3, 8, 9]


def test_keypoints_under_a_pasted_object_are_hidden():
    points = np.array([[[2.5, 2.0, 2], [30, 30, 2], [3, 3, 0]]], np.float32)
    pasted = np.array([[[1, 1, 2], [2, 2, 1], [0, 0, 0]]], np.float32)
    destination = sample([rectangle(0, 0, 40, 40)], gt_keypoints=points.copy())
    source = sample([rectangle(0, 0, 5, 5)], gt_keypoints=pasted)
    out = paste_all(destination, source)
    hidden = points.copy()
    hidden[0, 0, 2] = 1
    assert np.array_equal(
        out['gt_keypoints'], np.concatenate([hidden, pasted])
    )
    assert np.array_equal(destination['gt_keypoints'], points)


def test_pasted_keypoints_outside_of_the_image_are_not_labelled():
    size = (90, 90)
    points = np.array([[[20, 20, 2], [70, 70, 2], [20, 40, 1]]], np.float32)
    source = sample(
        [rectangle(10, 10, 80, 80, size)], size=size, gt_keypoints=points
    )
    below = np.zeros((0, 3, 3), np.float32)
    out = paste_all(sample(gt_keypoints=below), source)
    assert out['gt_keypoints'][0, :, 2].tolist() == [2, 0, 0]
    assert points[0, :, 2].tolist() == [2, 2, 1]


def test_keypoints_with_separate_visibility():
    destination = sample(
        [rectangle(0, 0, 40, 40)],
        gt_keypoints=np.array([[[2.0, 2.0], [30, 30]]]),
        gt_keypoints_visible=np.array([[2, 2]]),
    )
    source = sample(
        [rectangle(0, 0, 5, 5)],
        gt_keypoints=np.array([[[1.0, 1.0], [2, 2]]]),
        gt_keypoints_visible=np.array([[2, 0]]),
    )
    out = paste_all(destination, source)
    assert out['gt_keypoints_visible'].tolist() == [[1, 2], [2, 0]]
    assert out['gt_keypoints'].shape == (2, 2, 2)
    del source['gt_keypoints']
    with pytest.raises(ValueError, match="no 'gt_keypoints'.* the other im"):
        paste_all(destination, source)


@pytest.mark.parametrize('key', ['gt_panoptic', 'proposals', 'gt_depth_map'])
def test_annotations_that_would_go_stale_are_refused_by_name(key):
    source = sample([rectangle(0, 0, 5, 5)])
    with pytest.raises(ValueError, match=key):
        paste_all(sample(**{key: np.zeros(3)}), source)


def test_paste_by_box():
    destination = sample([rectangle(0, 0, 10, 10), rectangle(20, 0, 24, 4)])
    source = sample([rectangle(5, 0, 30, 12)], labels=[9], value=7)
    del destination['gt_masks'], source['gt_masks']
    with pytest.raises(ValueError, match='paste_by_box=True'):
        paste_all(destination, source)
    out = paste_all(destination, source, paste_by_box=True)
    assert 'gt_masks' not in out
    assert xyxy(out) == [[0, 0, 5, 10], [5, 0, 30, 12]]
    assert out['gt_bboxes_labels'].tolist() == [0, 9]
    expected = 7 * rectangle(5, 0, 30, 12)
    assert np.array_equal(out['img'][..., 0], expected)


def test_made_up_masks_never_mix_with_real_ones():
    source = sample([rectangle(5, 0, 30, 12)])
    del source['gt_masks']
    with pytest.raises(ValueError, match='only one of the two'):
        paste_all(sample(), source, paste_by_box=True)


# --- S10: mask kinds, sizes, images ----------------------------------------


def test_polygons_paste_as_bitmaps_do():
    boxes = [(2, 3, 12, 14), (20, 20, 30, 31)]
    below, above = [(0, 0, 8, 8)], boxes
    destination = sample([rectangle(*box) for box in below], labels=[5])
    source = sample([rectangle(*box) for box in above], value=9)
    expected = paste_all(destination, source)
    shaped = dict(destination, gt_masks=polygons(below))
    out = paste_all(shaped, dict(source, gt_masks=polygons(above)))
    equal(out, expected)


def test_multi_part_and_broken_polygons():
    parts = [
        np.array([2, 2, 6, 2, 6, 6, 2, 6.0]),
        np.array([10, 10, 14, 10, 14, 14, 10, 14.0]),
        np.array([1.0, 2, 3, 4]),
    ]
    masks = PolygonMasks([parts, [parts[2]]], *SIZE)
    source = dict(
        sample([rectangle(2, 2, 14, 14), rectangle(0, 0, 4, 4)]),
        gt_masks=masks,
    )
    out = paste_all(sample(), source)
    assert len(out['gt_masks']) == 1  # the broken one is ignored
    both = rectangle(2, 2, 6, 6) | rectangle(10, 10, 14, 14)
    assert np.array_equal(out['gt_masks'].masks[0], both)
    below = paste_all(source, sample([rectangle(30, 30, 35, 35)]))
    assert below['gt_ignore_flags'].tolist() == [False, True, False]


@pytest.mark.parametrize('size', [(30, 60), (60, 30), (20, 20), (90, 90)])
def test_a_source_of_another_size_is_aligned_at_the_top_left(size):
    box = (10, 8, size[1], size[0])
    source = sample([rectangle(*box, size)], size=size, value=9, labels=[3])
    out = paste_all(sample(value=1), source)
    pasted = np.zeros(SIZE, np.uint8)
    pasted[8 : size[0], 10 : size[1]] = 1
    assert np.array_equal(out['img'][..., 0], 1 + 8 * pasted)
    assert np.array_equal(out['gt_masks'].masks, pasted[None])
    assert xyxy(out) == [[10, 8, min(size[1], SIZE[1]), min(size[0], SIZE[0])]]


def test_a_source_object_outside_the_destination_is_not_pasted():
    source = sample([rectangle(60, 60, 70, 70, (90, 90))], size=(90, 90))
    destination = sample(value=1)
    out = paste_all(destination, source)
    assert out['img'] is destination['img']
    assert len(out['gt_bboxes']) == 0


@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
@pytest.mark.parametrize('shape', [SIZE, (*SIZE, 1), (*SIZE, 4)])
def test_images_of_any_kind(dtype, shape):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (2, *shape)).astype(dtype)
    images.setflags(write=False)
    mask = rectangle(4, 4, 20, 20)
    out = paste_all(sample(image=images[0]), sample([mask], image=images[1]))
    where = mask.reshape(SIZE + (1,) * (len(shape) - 2))
    assert out['img'].dtype == dtype
    assert np.array_equal(out['img'], np.where(where, images[1], images[0]))


def test_ndarray_boxes_stay_ndarrays():
    rng = np.random.default_rng(3)
    destination, source = random_sample(rng, 4), random_sample(rng, 3)
    expected = paste_all(destination, source)
    arrays = [
        dict(results, gt_bboxes=results['gt_bboxes'].numpy())
        for results in (destination, source)
    ]
    out = paste_all(*arrays)
    assert isinstance(out['gt_bboxes'], np.ndarray)
    assert out['gt_bboxes'].dtype == np.float32
    assert np.array_equal(out['gt_bboxes'], expected['gt_bboxes'].numpy())


# --- empty inputs, same image, errors --------------------------------------


def test_empty_source_returns_the_destination_unchanged():
    destination = random_sample(np.random.default_rng(0), 3)
    before = snapshot(destination)
    crowd = sample([rectangle(0, 0, 9, 9)], flags=[True])
    empty = sample([np.zeros(SIZE, np.uint8)])
    shaped = dict(destination, gt_masks=polygons([(0, 0, 4, 4)] * 3))
    for source in (sample(), crowd, empty):
        out = paste_all(destination, source)
        assert all(out[key] is destination[key] for key in destination)
        equal(out, before)
        assert type(paste_all(shaped, source)['gt_masks']) is PolygonMasks


def test_empty_destination():
    source = sample([rectangle(3, 3, 9, 9)], labels=[4], value=8)
    out = paste_all(sample(), source)
    assert out['gt_bboxes_labels'].tolist() == [4]
    assert out['gt_bboxes_labels'].dtype == np.int64
    assert np.array_equal(out['gt_masks'].masks, source['gt_masks'].masks)
    assert len(paste_all(sample(), sample())['gt_bboxes']) == 0


def test_source_and_destination_may_be_the_same_image():
    image = random_sample(np.random.default_rng(0), 3)
    before = snapshot(image)
    out = paste_all(image, image)
    equal(image, before)
    assert np.array_equal(out['img'], image['img'])
    assert np.array_equal(out['gt_masks'].masks, image['gt_masks'].masks)


def test_stale_masks_and_lengths_are_named():
    source = sample([rectangle(3, 3, 9, 9)])
    stale = dict(source, gt_masks=BitmapMasks([rectangle(0, 0, 2, 2)], *SIZE))
    stale['img'] = np.zeros((50, 50, 3), np.uint8)
    with pytest.raises(ValueError, match='source image is 50x50, but its'):
        paste_all(sample(), stale)
    with pytest.raises(ValueError, match='1 boxes, 2 labels'):
        paste_all(sample(), dict(source, gt_bboxes_labels=np.arange(2)))
    with pytest.raises(ValueError, match='MultiImageMixDataset'):
        build()(sample())
    with pytest.raises(TypeError, match='gt_masks must be'):
        paste_all(sample(), dict(source, gt_masks=[1]))


@pytest.mark.parametrize(
    'kwargs',
    [
        dict(num_pasted='some'),
        dict(num_pasted=(3, 1)),
        dict(num_pasted=(-1, 1)),
        dict(max_num_pasted=-1),
        dict(max_num_pasted=None),
        dict(num_pasted=(1, 'x')),
        dict(num_pasted=(0, 2.5)),
        dict(drop={'min_visible_ratio': 50}),
        dict(blend='poisson'),
        dict(blend_sigma=0),
        dict(box_update='never'),
        dict(drop='all'),
        dict(drop={'min_pixels': 3}),
        dict(dropped='keep'),
        dict(prob=1.5),
        dict(compat='detectron2'),
        dict(class_weights={0: -1}),
        dict(class_weights=[float('nan')]),
    ],
)
def test_bad_arguments(kwargs):
    with pytest.raises(ValueError, match=next(iter(kwargs))[:5]):
        build(**kwargs)


def test_selected_and_num_pasted_contradict():
    with pytest.raises(ValueError, match='one of the two'):
        build(selected=False, num_pasted='one')


@pytest.mark.parametrize(
    'kwargs',
    [
        dict(prob=0.0),
        dict(num_pasted='one'),
        dict(allow=[]),
        dict(deny=[0]),
        dict(blend='gaussian'),
        dict(box_update='threshold'),
        dict(dropped='ignore'),
    ],
)
def test_compat_takes_nothing_that_mmdetection_lacks(kwargs):
    with pytest.raises(ValueError, match=f'no {next(iter(kwargs))}'):
        build(compat='mmdet', **kwargs)
    with pytest.raises(ValueError, match='exclusive cap'):
        build(compat='mmdet', max_num_pasted=0)


def test_a_box_threshold_alone_drops_nothing():
    transform = build(box_update='threshold', bbox_occluded_thr=4)
    assert transform.drop is None
    assert build(bbox_occluded_thr=4).drop == 'mmdet'
    assert build(mask_occluded_thr=4).drop == 'mmdet'


def test_stale_keys_are_refused_whether_or_not_something_is_pasted():
    results = with_source(sample(gt_depth_map=np.zeros(3)), sample())
    with pytest.raises(ValueError, match='gt_depth_map'):
        build(prob=0.0)(results)


def test_missing_masks_may_be_none():
    destination = sample([rectangle(0, 0, 10, 10)])
    source = dict(sample([rectangle(5, 0, 30, 12)]), gt_masks=None)
    with pytest.raises(ValueError, match='only one of the two'):
        paste_all(destination, source, paste_by_box=True)
    bare = dict(destination, gt_masks=None)
    out = paste_all(bare, source, paste_by_box=True)
    assert xyxy(out) == [[0, 0, 5, 10], [5, 0, 30, 12]]
    with pytest.raises(ValueError, match='found none'):
        build()(dict(destination, mix_results=[None]))


def test_values_never_wrap():
    source = sample([rectangle(0, 0, 4, 4)], image=np.full(SIZE, 300, 'u2'))
    with pytest.raises(TypeError, match='uint16 image onto a uint8'):
        paste_all(sample(image=np.zeros(SIZE, 'u1')), source)


def test_allow_needs_a_list():
    with pytest.raises(TypeError, match=r"allow=\['dog'\]"):
        build(allow='dog')


def test_repr_and_pickle():
    transform = build(num_pasted=(1, None), deny=[2])
    text = repr(transform)
    assert text.startswith('CopyPaste(max_num_pasted=100, ')
    assert 'num_pasted=(1, None)' in text
    assert 'deny=[2]' in text
    assert repr(pickle.loads(pickle.dumps(transform))) == text


def test_same_seed_same_sample():
    rng = np.random.default_rng(0)
    results = with_source(random_sample(rng, 4), random_sample(rng, 6))
    outs = []
    for seed in (1, 1, 2):
        np.random.seed(seed)  # noqa: NPY002
        outs.append(build()(results))
    equal(outs[0], outs[1])
    assert not np.array_equal(outs[0]['img'], outs[2]['img'])


# --- S12: compatibility ----------------------------------------------------


@given(counts, counts, seeds, st.booleans(), st.sampled_from([1, 3, 100]))
@settings(max_examples=100)
def test_compat_is_bit_equal_to_mmdetection(
    below, above, seed, selected, most
):
    rng = np.random.default_rng(seed)
    destination = random_sample(rng, below)
    source = random_sample(rng, above)
    source['gt_ignore_flags'][:1] = True
    kwargs = dict(
        selected=selected,
        max_num_pasted=most,
        bbox_occluded_thr=3,
        mask_occluded_thr=20,
    )
    results = with_source(destination, source)
    np.random.seed(seed)  # noqa: NPY002
    ours = build(compat='mmdet', **kwargs)(results)
    np.random.seed(seed)  # noqa: NPY002
    theirs = MMDetCopyPaste(**kwargs)(copy.deepcopy(results))
    theirs.pop('mix_results')
    assert ours['img'].dtype == np.uint8
    theirs['img'] = theirs['img'].astype(np.uint8)
    equal(ours, theirs)


@given(counts, counts, seeds)
@settings(max_examples=30)
def test_compat_by_box(below, above, seed):
    rng = np.random.default_rng(seed)
    both = [random_sample(rng, below), random_sample(rng, above)]
    for results in both:
        del results['gt_masks']
    results = with_source(*both)
    np.random.seed(seed)  # noqa: NPY002
    ours = build(compat='mmdet', paste_by_box=True)(results)
    np.random.seed(seed)  # noqa: NPY002
    theirs = MMDetCopyPaste(paste_by_box=True)(copy.deepcopy(results))
    theirs.pop('mix_results')
    assert ours.keys() == theirs.keys()
    theirs['img'] = theirs['img'].astype(np.uint8)
    equal(ours, theirs)
