"""Tests of mixup for instance segmentation."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS, TRANSFORMS, init_default_scope
from paste_samples import (
    SIZE,
    polygons,
    random_sample,
    rectangle,
    sample,
    with_source,
)

from mmcp.datasets import CopyPasteDataset
from mmcp.datasets.sample_index import SampleIndex
from mmcp.datasets.transforms.det_mix_up import DetMixUp, MixUpParams
from mmcp.functional.mixup import mix_images
from mmcp.structures import CroppedBitmapMasks


@pytest.fixture(autouse=True, scope='module')
def scope():
    init_default_scope('mmdet')


def build(**kwargs):
    return TRANSFORMS.build(dict(type='mmcp.DetMixUp', **kwargs))


def mix(destination, source, weight=0.5):
    return DetMixUp().apply(destination, source, MixUpParams(weight))


def boxes_of(results):
    return np.asarray(
        results['gt_bboxes'].numpy()
        if isinstance(results['gt_bboxes'], HorizontalBoxes)
        else results['gt_bboxes']
    )


def masks_of(results):
    return results['gt_masks'].to_ndarray()


def test_the_whole_result():
    size = (4, 5)
    destination = sample(
        [rectangle(0, 0, 2, 2, size)],
        labels=[7],
        boxes=[[0.2, 0, 2, 1.9]],
        size=size,
        value=100,
    )
    source = sample(
        [rectangle(1, 1, 4, 3, size), rectangle(0, 0, 5, 4, size)],
        labels=[3, 4],
        flags=[False, True],
        boxes=[[1, 1, 3.7, 3], [0, 0, 5, 4]],
        size=size,
        value=200,
    )

    out = mix(destination, source, 0.75)

    assert out['img'].tolist() == np.full((*size, 3), 125).tolist()
    assert out['img'].dtype == np.uint8
    assert boxes_of(out).tolist() == pytest.approx(
        np.array([[0.2, 0, 2, 1.9], [1, 1, 3.7, 3], [0, 0, 5, 4]], np.float32)
    )
    assert out['gt_bboxes_labels'].tolist() == [7, 3, 4]
    assert out['gt_bboxes_labels'].dtype == np.int64
    # A crowd of the source is seen, so it stays, ignored.
    assert out['gt_ignore_flags'].tolist() == [False, False, True]
    expected = np.concatenate([masks_of(destination), masks_of(source)])
    assert masks_of(out).tolist() == expected.tolist()
    assert 'mix_results' not in out


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    counts=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    size=st.tuples(st.integers(4, 60), st.integers(4, 60)),
)
def test_properties(seed, counts, size):
    rng = np.random.default_rng(seed)
    destination = random_sample(rng, counts[0])
    source = random_sample(rng, counts[1], size)
    before = copy.deepcopy((destination, source))
    params = build().draw(rng)

    out = DetMixUp().apply(destination, source, params)

    assert np.array_equal(
        out['img'],
        mix_images(destination['img'], source['img'], params.weight),
    )
    first = counts[0]
    seen = masks_of(source)[:, : SIZE[0], : SIZE[1]]
    kept = seen.any((1, 2)) | np.full(counts[1], size == SIZE)
    rows = np.flatnonzero(kept)
    padded = np.zeros((len(rows), *SIZE), np.uint8)
    padded[:, : seen.shape[1], : seen.shape[2]] = seen[rows]
    assert np.array_equal(masks_of(out)[:first], masks_of(destination))
    assert np.array_equal(masks_of(out)[first:], padded)
    assert np.array_equal(boxes_of(out)[:first], boxes_of(destination))
    assert (boxes_of(out) <= [SIZE[1], SIZE[0]] * 2).all()
    labels = np.concatenate(
        [destination['gt_bboxes_labels'], source['gt_bboxes_labels'][rows]]
    )
    assert np.array_equal(out['gt_bboxes_labels'], labels)
    assert len(out['gt_ignore_flags']) == len(labels) == len(boxes_of(out))
    # Inputs stay as they were.
    for old, new in zip(before, (destination, source), strict=True):
        assert np.array_equal(old['img'], new['img'])
        assert np.array_equal(masks_of(old), masks_of(new))
        assert np.array_equal(boxes_of(old), boxes_of(new))


def test_a_cut_object_has_the_box_of_what_is_left():
    large = (SIZE[0] + 10, SIZE[1] + 10)
    masks = [
        rectangle(2, 2, 6, 6, large),
        rectangle(40, 30, 56, 48, large),
        rectangle(50, 42, 56, 48, large),
    ]
    boxes = [[2.3, 2, 6, 6], [40, 30, 56, 48], [50, 42, 56, 48]]
    source = sample(masks, boxes=boxes, size=large)

    out = mix(sample(), source)

    assert out['gt_bboxes_labels'].tolist() == [0, 1]
    assert boxes_of(out).tolist() == pytest.approx(
        np.array([[2.3, 2, 6, 6], [40, 30, SIZE[1], SIZE[0]]], np.float32)
    )


def test_a_source_without_objects_is_seen_all_the_same():
    destination = sample([rectangle(0, 0, 9, 9)], value=10)
    out = mix(destination, sample(value=30))

    assert (out['img'] == 20).all()
    assert out['gt_bboxes_labels'].tolist() == [0]


@pytest.mark.parametrize('kind', ['bitmaps', 'cropped', 'polygons'])
def test_every_kind_of_masks(kind):
    boxes = [[1, 2, 9, 8], [4, 5, 20, 30]]
    pair = []
    for box in boxes:
        results = sample([rectangle(*box)])
        if kind == 'cropped':
            masks = CroppedBitmapMasks.from_bitmap_masks(results['gt_masks'])
            results['gt_masks'] = masks
        elif kind == 'polygons':
            results['gt_masks'] = polygons([box])
        pair.append(results)

    out = mix(*pair)

    expected = CroppedBitmapMasks if kind == 'cropped' else BitmapMasks
    assert type(out['gt_masks']) is expected
    assert np.array_equal(masks_of(out), [rectangle(*box) for box in boxes])


def test_polygons_of_equal_sizes_stay_polygons():
    pair = [sample([rectangle(1, 2, 9, 8)]) for _ in range(2)]
    for results in pair:
        results['gt_masks'] = CroppedBitmapMasks.from_polygon_masks(
            polygons([[1, 2, 9, 8]])
        )
    items = mix(*pair)['gt_masks'].items
    assert [type(item).__name__ for item in items] == ['Polygons'] * 2


def test_boxes_alone_are_enough_and_arrays_stay_arrays():
    pair = []
    for box in ([1, 2, 9, 8], [4, 5, 20, 30]):
        results = sample([rectangle(*box)])
        del results['gt_masks']
        results['gt_bboxes'] = np.array([box], np.float64)
        pair.append(results)

    out = mix(*pair)

    assert 'gt_masks' not in out
    assert isinstance(out['gt_bboxes'], np.ndarray)
    assert out['gt_bboxes'].tolist() == [[1, 2, 9, 8], [4, 5, 20, 30]]


def test_ids_are_new_and_joints_are_kept():
    joints = np.array([[[3.0, 3.0, 2.0], [60.0, 3.0, 2.0]]])
    destination, source = (
        sample(
            [rectangle(1, 1, 5, 5)],
            gt_instances_ids=np.array([4]),
            gt_keypoints=joints,
        )
        for _ in range(2)
    )

    out = mix(destination, source)

    assert out['gt_instances_ids'].tolist() == [4, 5]
    # A joint of the source outside of the image is not labelled any more.
    assert out['gt_keypoints'][..., 2].tolist() == [[2, 2], [2, 0]]


def test_what_would_go_stale_is_refused():
    stale = sample(gt_seg_map=np.zeros(SIZE, np.uint8))
    with pytest.raises(ValueError, match="'gt_seg_map', which would go stale"):
        build()(with_source(stale, sample()))
    without = sample()
    del without['gt_masks']
    with pytest.raises(ValueError, match='only one of the two images'):
        build()(with_source(sample(), without))
    with pytest.raises(ValueError, match='DetMixUp needs one source image'):
        build()(sample())


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(alpha=0), 'alpha must be > 0'),
        (dict(alpha=float('nan')), 'alpha must be > 0'),
        (dict(prob=1.5), 'prob must lie in'),
    ],
)
def test_bad_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        build(**kwargs)


def test_draws_follow_the_generator_and_prob():
    pair = with_source(sample(value=0), sample(value=255))
    drawn = [
        build()(dict(pair, sample_rng=np.random.default_rng(seed)))['img'][0]
        for seed in (1, 1, 2)
    ]
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])
    never = build(prob=0.0)(pair)
    assert never['img'] is pair['img']
    rng = np.random.default_rng(0)
    half = [build(prob=0.5).draw(rng).weight is None for _ in range(400)]
    assert 160 < sum(half) < 240


def test_it_can_be_pickled():
    again = pickle.loads(pickle.dumps(build(alpha=0.7)))
    assert repr(again) == 'DetMixUp(alpha=0.7, prob=1.0)'


class Samples(BaseDataset):
    """A data set of ready results."""

    METAINFO = dict(classes=('cat', 'dog', 'bird', 'horse', 'cow'))

    def __init__(self):
        super().__init__(lazy_init=True)
        rng = np.random.default_rng(0)
        self.samples = [random_sample(rng, 2) for _ in range(4)]

    def full_init(self):
        pass

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return dict(self.samples[index])

    def get_cat_ids(self, index):
        return self.samples[index]['gt_bboxes_labels'].tolist()


def wrapped(**kwargs):
    return CopyPasteDataset(
        Samples(), copy_paste=dict(type='mmcp.DetMixUp'), **kwargs
    )


@pytest.mark.parametrize('wrapper', ['mmcp', 'mmdet'])
def test_both_wrappers_mix(wrapper):
    if wrapper == 'mmcp':
        dataset = wrapped()
    else:
        dataset = DATASETS.build(
            dict(
                type='MultiImageMixDataset',
                dataset=Samples(),
                pipeline=[
                    dict(type='mmcp.DetMixUp'),
                    dict(type='mmcp.PackDetInputs', meta_keys=()),
                ],
            )
        )
    for index in range(4):
        instances = dataset[index]['data_samples'].gt_instances
        assert len(instances) == 4
        assert len(instances.masks) == 4


def test_the_wrapper_draws_by_position_and_chooses_no_classes():
    dataset = wrapped()
    images = [
        dataset[SampleIndex(1, position, seed=3)]['inputs'].numpy()
        for position in (5, 5, 6)
    ]
    assert np.array_equal(images[0], images[1])
    assert not np.array_equal(images[0], images[2])
    with pytest.raises(TypeError, match='allow'):
        wrapped(allow=['cat'])
