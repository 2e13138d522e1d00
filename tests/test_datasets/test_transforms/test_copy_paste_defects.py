"""Every known defect of MMDetection's CopyPaste, and that ours lacks it.

Each test shows the defect with MMDetection's class first, so that it fails
when upstream mends it and this file can shrink.
"""

import copy

import numpy as np
import pytest
from mmdet.datasets.transforms import CopyPaste as MMDetCopyPaste
from mmdet.structures.mask import PolygonMasks
from mmengine.registry import TRANSFORMS
from paste_samples import (
    SIZE,
    polygons,
    random_sample,
    rectangle,
    sample,
    with_source,
)


def ours(**kwargs):
    return TRANSFORMS.build(dict(type='mmcp.CopyPaste', **kwargs))


def both(destination, source, **kwargs):
    """Results of MMDetection's class and of ours for the same input."""
    results = with_source(destination, source)
    theirs = MMDetCopyPaste(**kwargs)(copy.deepcopy(results))
    return theirs, ours(**kwargs)(copy.deepcopy(results))


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    return random_sample(rng, 4), random_sample(rng, 3)


@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
def test_1_the_image_keeps_its_dtype(pair, dtype):
    for results in pair:
        results['img'] = results['img'].astype(dtype)
    theirs, mine = both(*pair, selected=False)
    assert theirs['img'].dtype != dtype
    assert mine['img'].dtype == dtype
    assert mine['img'].nbytes < theirs['img'].nbytes


def test_1_half_the_memory_of_float_images_and_an_eighth_of_uint8(pair):
    theirs, mine = both(*pair, selected=False)
    assert theirs['img'].nbytes == 8 * mine['img'].nbytes


def drawn(transform, source, repeats=200):
    np.random.seed(0)  # noqa: NPY002
    results = with_source(sample(), source)
    return {
        len(transform(copy.deepcopy(results))['gt_bboxes'])
        for _ in range(repeats)
    }


@pytest.mark.parametrize(
    ('cap', 'theirs', 'mine'), [(1, {0}, {0, 1}), (2, {0, 1}, {0, 1, 2})]
)
def test_2_the_cap_is_inclusive(cap, theirs, mine):
    source = sample([rectangle(4 * i, 0, 4 * i + 2, 2) for i in range(3)])
    assert drawn(MMDetCopyPaste(max_num_pasted=cap), source) == theirs
    assert drawn(ours(max_num_pasted=cap), source) == mine


def test_2_a_cap_of_zero_pastes_nothing():
    source = sample([rectangle(0, 0, 2, 2)])
    results = with_source(sample(), source)
    with pytest.raises(ValueError, match='high <= 0'):
        MMDetCopyPaste(max_num_pasted=0)(copy.deepcopy(results))
    assert drawn(ours(max_num_pasted=0), source) == {0}


def test_3_a_covered_object_in_the_corner_goes():
    destination = sample([rectangle(0, 0, 6, 6)], labels=[5])
    source = sample([rectangle(0, 0, 9, 9)], labels=[6])
    theirs, mine = both(destination, source, selected=False)
    assert theirs['gt_bboxes'].tensor[0].tolist() == [0, 0, 0, 0]
    assert not theirs['gt_masks'].masks[0].any()
    assert mine['gt_bboxes_labels'].tolist() == [6]


def test_4_polygons_work(pair):
    shaped = [
        dict(results, gt_masks=polygons([(0, 0, 9, 9)] * count))
        for results, count in zip(pair, (4, 3), strict=True)
    ]
    assert isinstance(shaped[0]['gt_masks'], PolygonMasks)
    with pytest.raises((AttributeError, TypeError, ValueError, IndexError)):
        MMDetCopyPaste(selected=False)(copy.deepcopy(with_source(*shaped)))
    out = ours(selected=False)(with_source(*shaped))
    assert np.array_equal(out['gt_masks'].masks, [rectangle(0, 0, 9, 9)] * 3)


def test_4_sizes_may_differ(pair):
    size = (SIZE[0] + 8, SIZE[1] - 8)
    other = random_sample(np.random.default_rng(1), 3, size)
    with pytest.raises(AssertionError, match='different size'):
        MMDetCopyPaste(selected=False)(
            copy.deepcopy(with_source(pair[0], other))
        )
    out = ours(selected=False)(with_source(pair[0], other))
    assert out['img'].shape == pair[0]['img'].shape


def test_4_all_objects_can_be_pasted_by_box(pair):
    for results in pair:
        del results['gt_masks']
    results = with_source(*pair)
    kwargs = dict(selected=False, paste_by_box=True)
    with pytest.raises(KeyError, match='gt_masks'):
        MMDetCopyPaste(**kwargs)(copy.deepcopy(results))
    out = ours(**kwargs)(results)
    assert out['gt_bboxes_labels'][-3:].tolist() == (
        pair[1]['gt_bboxes_labels'].tolist()
    )


def test_5_crowd_is_not_pasted():
    source = sample([rectangle(0, 0, 9, 9)], flags=[True])
    theirs, mine = both(sample(), source, selected=False)
    assert len(theirs['gt_bboxes']) == 1
    assert len(mine['gt_bboxes']) == 0


def test_5_boxes_of_untouched_objects_stay():
    box = [10.3, 10.2, 19.6, 19.7]
    destination = sample([rectangle(10, 10, 20, 20)], boxes=[box])
    source = sample([rectangle(30, 30, 34, 34)])
    theirs, mine = both(destination, source, selected=False)
    before = destination['gt_bboxes'].tensor[0].tolist()
    assert theirs['gt_bboxes'].tensor[0].tolist() != before
    assert mine['gt_bboxes'].tensor[0].tolist() == before


def test_5_inputs_are_not_changed():
    def mask_after(transform):
        destination = sample([rectangle(0, 0, 20, 20)])
        source = sample([rectangle(10, 10, 30, 30)])
        transform(with_source(destination, source))
        return destination['gt_masks'].masks[0]

    before = rectangle(0, 0, 20, 20)
    theirs = mask_after(MMDetCopyPaste(selected=False))
    assert not np.array_equal(theirs, before)
    assert np.array_equal(mask_after(ours(selected=False)), before)


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('gt_seg_map', np.zeros(SIZE, np.uint8)),
        ('gt_keypoints', np.full((1, 1, 3), 2, np.float32)),
        ('gt_instances_ids', np.array([0])),
    ],
)
def test_6_other_annotations_do_not_go_stale(key, value):
    destination = sample([rectangle(0, 0, 20, 20)], **{key: value})
    pasted = value + 1 if key == 'gt_seg_map' else value
    source = sample([rectangle(0, 0, 10, 10)], **{key: pasted})
    theirs, mine = both(destination, source, selected=False)
    assert np.array_equal(theirs[key], value)
    assert not np.array_equal(mine[key], value)


@pytest.mark.parametrize(
    'kwargs',
    [
        dict(prob=0.5),
        dict(blend='gaussian'),
        dict(class_weights={0: 2.0}),
        dict(deny=[0]),
    ],
)
def test_6_there_are_controls(pair, kwargs):
    with pytest.raises(TypeError, match='unexpected keyword'):
        MMDetCopyPaste(**kwargs)
    ours(**kwargs)(with_source(*pair))


def test_7_pixels_disjointness_and_extents(pair):
    """What MMDetection's own tests never look at, on its result and ours."""
    theirs, mine = both(*pair, selected=False)
    union = pair[1]['gt_masks'].masks.any(0)
    for out in (theirs, mine):
        below = out['gt_masks'].masks[:-3]
        assert not (below & union).any()
    assert mine['gt_masks'].masks.any((1, 2)).all()
    changed = np.where(union[..., None], pair[1]['img'], pair[0]['img'])
    assert np.array_equal(mine['img'], changed)
    repeat = repr(ours())
    assert 'paste_by_box=False' in repeat
    assert repr(MMDetCopyPaste()).count('(') != repr(MMDetCopyPaste()).count(
        ')'
    )
    assert repeat.count('(') == repeat.count(')')
