import copy
import glob
import warnings

import numpy as np
import pycocotools.mask as coco_mask
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmdet.datasets.transforms import LoadAnnotations as MMDetLoadAnnotations
from mmengine.registry import init_default_scope

from mmcp.datasets.transforms import LoadAnnotations
from mmcp.functional.patches import Patch
from mmcp.registry import TRANSFORMS
from mmcp.structures import CroppedBitmapMasks, Polygons

SIZE = (30, 40)
TRIANGLE = [2, 3, 20.5, 4, 9, 17.25]
SQUARE = [[10, 10, 14, 10, 14, 14, 10, 14]]


def instance(mask=None, label=0, ignore=0, box=(2, 3, 21, 18)):
    found = dict(bbox=list(box), bbox_label=label, ignore_flag=ignore)
    return found if mask is None else dict(found, mask=mask)


def results_of(*instances, **extra):
    return dict(
        ori_shape=SIZE,
        img_path='folder/image.jpg',
        instances=list(instances),
        **extra,
    )


def encode(mask, kind):
    rle = coco_mask.encode(np.asfortranarray(mask))
    if kind == 'bytes':
        return rle
    if kind == 'text':
        return dict(rle, counts=rle['counts'].decode())
    flat = np.concatenate([[0], mask.T.ravel(), [2]])
    edges = np.flatnonzero(np.diff(flat))
    runs = np.diff(edges, prepend=0).tolist()
    return dict(size=list(mask.shape), counts=runs)


numbers = st.floats(-5, 45, allow_nan=False).map(lambda v: round(v, 2))
parts = st.integers(3, 7).flatmap(
    lambda count: st.lists(numbers, min_size=2 * count, max_size=2 * count)
)


@st.composite
def annotated(draw):
    """Polygons of several parts, and all run-length encodings."""
    found = []
    for _ in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(['polygons', 'text', 'list']))
        if kind == 'polygons':
            mask = draw(st.lists(parts, min_size=1, max_size=3))
            mask[0][:6] = TRIANGLE
        else:
            rng = np.random.default_rng(draw(st.integers(0, 2**31)))
            mask = encode((rng.random(SIZE) < 0.5).astype(np.uint8), kind)
        label, ignore = draw(st.integers(0, 79)), draw(st.integers(0, 1))
        found.append(instance(mask, label, ignore))
    return results_of(*found)


@given(annotated())
def test_pixels_and_all_else_match_mmdetection(results):
    theirs = MMDetLoadAnnotations(with_mask=True)(copy.deepcopy(results))
    before = copy.deepcopy(results)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        ours = LoadAnnotations(with_mask=True)(dict(results))
    assert results == before
    assert ours.keys() == theirs.keys()
    assert type(ours['gt_masks']) is CroppedBitmapMasks
    np.testing.assert_array_equal(
        ours['gt_masks'].to_ndarray(), theirs['gt_masks'].masks
    )
    assert torch.equal(ours['gt_bboxes'].tensor, theirs['gt_bboxes'].tensor)
    for key in ('gt_bboxes_labels', 'gt_ignore_flags'):
        np.testing.assert_array_equal(ours[key], theirs[key])
        assert ours[key].dtype == theirs[key].dtype


def test_masks_stay_as_they_are_stored():
    rle = encode(np.eye(*SIZE, dtype=np.uint8), 'bytes')
    bitmap = np.zeros(SIZE, bool)
    bitmap[4:6, 7:9] = True
    loaded = LoadAnnotations(with_mask=True)(
        results_of(instance([TRIANGLE]), instance(rle), instance(bitmap))
    )
    polygons, runs, patch = loaded['gt_masks'].items
    assert isinstance(polygons, Polygons)
    assert runs is rle
    assert isinstance(patch, Patch)
    assert patch.extent == (7, 4, 9, 6)
    assert loaded['gt_masks'].areas.tolist()[1:] == [30, 4]
    assert not loaded['gt_ignore_flags'].any()


BROKEN = {
    'too few vertices': [[1, 1, 5, 5]],
    'odd': [[1, 1, 5, 5, 1, 5, 1]],
    'not a number': [[1, 1, 5, float('nan'), 1, 5]],
    'infinite': [[1, 1, 5, float('inf'), 1, 5]],
    'absurdly far': [[1, 1, 5e9, 1, 1, 5]],
    'outside': [[100, 1, 110, 1, 105, 9]],
    'no number': [['a', 'b', 'c', 'd', 'e', 'f']],
    'flat list': [1, 1, 5, 1, 1, 5],
    'text': 'mask',
    'short runs': {'size': [30, 40], 'counts': [7]},
    'long runs': {'size': [30, 40], 'counts': [10**9]},
    'other size': {'size': [3, 4], 'counts': [12]},
    'garbage': {'size': [30, 40], 'counts': 'Zz~~'},
    'no counts': {'size': [30, 40]},
    'bitmap of another size': np.ones((3, 4), np.uint8),
    'empty bitmap': np.zeros(SIZE, np.uint8),
    'empty list': [],
    'missing': None,
}


@pytest.mark.parametrize('name', BROKEN)
def test_a_broken_mask_makes_an_ignored_object(name):
    results = results_of(
        instance(SQUARE, 4), instance(BROKEN[name], 5), instance(SQUARE, 6)
    )
    before = copy.deepcopy(results['instances'][1]['ignore_flag'])
    with pytest.warns(UserWarning, match=r'folder/image.jpg.*3 objects.*\[1'):
        loaded = LoadAnnotations(with_mask=True)(results)
    assert loaded['gt_ignore_flags'].tolist() == [False, True, False]
    assert loaded['gt_masks'].areas.tolist() == [16, 0, 16]
    assert loaded['gt_bboxes_labels'].tolist() == [4, 5, 6]
    assert loaded['gt_bboxes'].tensor[1].tolist() == [2, 3, 21, 18]
    assert results['instances'][1]['ignore_flag'] == before == 0


def test_sound_parts_of_a_partly_broken_object_stay():
    """As MMDetection, which drops parts that are too short or odd."""
    masks = [[[1, 1, 5, 5], *SQUARE], [*SQUARE, [1, 2, 3, 4, 5, 6, 7]]]
    results = results_of(*map(instance, masks))
    theirs = MMDetLoadAnnotations(with_mask=True)(copy.deepcopy(results))
    ours = LoadAnnotations(with_mask=True)(results)
    np.testing.assert_array_equal(
        ours['gt_masks'].to_ndarray(), theirs['gt_masks'].masks
    )
    assert ours['gt_masks'].areas.tolist() == [16, 16]
    assert not ours['gt_ignore_flags'].any()


def test_one_warning_a_file_that_names_every_problem():
    load = LoadAnnotations(with_mask=True)
    results = results_of(
        instance([[1, 1, 5, 5]]), instance(), instance([[1, 2]])
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        load(dict(results))
        load(dict(results))
        load(dict(results, img_path='other.jpg'))
    texts = [str(warning.message) for warning in caught]
    assert len(texts) == 2
    assert 'broken polygons: [0, 2]; no mask: [1]' in texts[0]
    assert 'other.jpg' in texts[1]


def test_an_ignored_region_needs_no_mask():
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        loaded = LoadAnnotations(with_mask=True)(
            results_of(instance(ignore=1), instance([[1, 2]], ignore=1))
        )
    assert loaded['gt_ignore_flags'].tolist() == [True, True]
    assert loaded['gt_masks'].areas.tolist() == [0, 0]


def test_a_box_can_be_the_mask():
    load = LoadAnnotations(with_mask=True, missing_mask='box')
    loaded = load(results_of(instance(), instance(SQUARE)))
    assert loaded['gt_masks'].patches()[0].extent == (2, 3, 21, 18)
    assert loaded['gt_masks'].areas.tolist() == [19 * 15, 16]
    assert not loaded['gt_ignore_flags'].any()


def test_a_missing_mask_can_be_an_error_that_names_the_way_out():
    load = LoadAnnotations(with_mask=True, missing_mask='error')
    with pytest.raises(ValueError, match='image.jpg.*paste_by_box'):
        load(results_of(instance(SQUARE), instance()))
    loaded = load(results_of(instance(SQUARE)))
    assert loaded['gt_masks'].areas.tolist() == [16]


def test_boxes_alone():
    loaded = LoadAnnotations()(results_of(instance(label=3)))
    assert 'gt_masks' not in loaded
    assert loaded['gt_bboxes_labels'].tolist() == [3]
    plain = LoadAnnotations(box_type=None)(results_of(instance()))
    assert plain['gt_bboxes'].tolist() == [[2, 3, 21, 18]]


def test_an_image_without_objects():
    loaded = LoadAnnotations(with_mask=True)(results_of())
    assert loaded['gt_masks'].to_ndarray().shape == (0, *SIZE)
    assert loaded['gt_ignore_flags'].shape == (0,)
    assert loaded['gt_ignore_flags'].dtype == bool


def test_real_annotations_match_mmdetection(shared_data):
    """Every fifth image of coco_small, crowd included."""
    from mmdet.datasets import CocoDataset

    init_default_scope('mmdet')
    root = f'{shared_data}/coco_small/'
    (ann_file, *_) = sorted(glob.glob(f'{root}annotations/*train*.json'))
    data = CocoDataset(
        data_root=root, ann_file=ann_file, data_prefix=dict(img='train2017/')
    )
    theirs, ours = (
        kind(with_mask=True)
        for kind in (MMDetLoadAnnotations, LoadAnnotations)
    )
    compared = 0
    for index in range(0, len(data), 5):
        info = data.get_data_info(index)
        info['ori_shape'] = info['height'], info['width']
        expected = theirs(copy.deepcopy(info))
        loaded = ours(info)
        np.testing.assert_array_equal(
            loaded['gt_masks'].to_ndarray(), expected['gt_masks'].masks
        )
        np.testing.assert_array_equal(
            loaded['gt_ignore_flags'], expected['gt_ignore_flags']
        )
        compared += len(loaded['gt_masks'])
    assert compared > 100


def test_arguments():
    with pytest.raises(ValueError, match='missing_mask'):
        LoadAnnotations(missing_mask='fill')
    load = TRANSFORMS.build(
        dict(type='mmcp.LoadAnnotations', with_mask=True, poly2mask=False)
    )
    assert repr(load) == (
        'LoadAnnotations(with_bbox=True, with_label=True, with_mask=True, '
        "with_seg=False, poly2mask=False, imdecode_backend='cv2', "
        "backend_args=None, missing_mask='ignore')"
    )
