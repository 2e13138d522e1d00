"""CroppedBitmapMasks in MMDetection's own transforms."""

import random

import mmdet.datasets.transforms  # noqa: F401  (registers them)
import numpy as np
import pytest
import torch
from mask_samples import random_masks
from mmdet.registry import TRANSFORMS
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks

from mmcp.structures import CroppedBitmapMasks

SIZE = (60, 80)


@pytest.fixture(autouse=True)
def scope():
    """RandAugment builds its parts in the default scope."""
    with TRANSFORMS.switch_scope_and_registry('mmdet'):
        yield


def sample(seed, kind, count=5):
    """Results of an image; ``kind`` makes the container."""
    rng = np.random.default_rng(seed)
    masks = random_masks(rng, 3 * count + 1, *SIZE)
    masks = masks[np.flatnonzero(masks.areas)[:count]]
    boxes = masks.get_bboxes('hbox')
    return dict(
        img=rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8),
        img_shape=SIZE,
        ori_shape=SIZE,
        img_id=seed,
        img_path=None,
        gt_bboxes=HorizontalBoxes(boxes.tensor.clone()),
        gt_bboxes_labels=rng.integers(0, 3, len(masks)),
        gt_ignore_flags=rng.random(len(masks)) < 0.3,
        gt_masks=kind(masks),
    )


def plain(masks):
    return BitmapMasks(masks.masks.copy(), masks.height, masks.width)


def apply(transforms, kind, seed, count=5):
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    results = sample(seed, kind, count)
    for transform in transforms:
        results = transform(results)
        assert results is not None
    return results


TRANSFORM_CONFIGS = [
    dict(type='Resize', scale=(100, 50), keep_ratio=True),
    dict(type='Resize', scale=(33, 77), keep_ratio=False),
    dict(type='FixShapeResize', width=90, height=90, keep_ratio=True),
    dict(type='ResizeShortestEdge', scale=40, max_size=60),
    dict(type='RandomFlip', prob=1.0, direction='horizontal'),
    dict(type='RandomFlip', prob=1.0, direction='vertical'),
    dict(type='RandomFlip', prob=1.0, direction='diagonal'),
    dict(type='Pad', size_divisor=32),
    dict(type='Pad', size=(70, 100), pad_val=dict(img=0, masks=1)),
    dict(type='RandomCrop', crop_size=(40, 50)),
    dict(
        type='RandomCrop',
        crop_size=(0.3, 0.6),
        crop_type='relative_range',
        recompute_bbox=True,
        allow_negative_crop=True,
    ),
    dict(type='Expand', prob=1.0, ratio_range=(1, 3)),
    dict(type='MinIoURandomCrop', min_crop_size=0.3),
    dict(type='TranslateX', prob=1.0),
    dict(type='TranslateY', prob=1.0, level=7),
    dict(type='ShearX', prob=1.0),
    dict(type='ShearY', prob=1.0, level=5),
    dict(type='Rotate', prob=1.0),
    dict(type='RandomErasing', n_patches=(2, 5), ratio=(0.1, 0.3)),
    dict(
        type='RandomErasing',
        n_patches=3,
        ratio=0.4,
        bbox_erased_thr=0.2,
        mask_border_value=1,
    ),
    dict(
        type='FilterAnnotations',
        by_mask=True,
        by_box=True,
        min_gt_mask_area=120,
        keep_empty=False,
    ),
    dict(type='PhotoMetricDistortion'),
    dict(type='RandAugment'),
]


@pytest.mark.parametrize(
    'config', TRANSFORM_CONFIGS, ids=lambda config: config['type']
)
def test_transform(config):
    transform = TRANSFORMS.build(config)
    for seed in range(6):
        ours = apply([transform], CroppedBitmapMasks.from_bitmap_masks, seed)
        theirs = apply([transform], plain, seed)
        assert isinstance(ours['gt_masks'], CroppedBitmapMasks)
        check_same(ours, theirs)


def check_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    assert np.array_equal(ours['img'], theirs['img'])
    assert torch.equal(ours['gt_bboxes'].tensor, theirs['gt_bboxes'].tensor)
    for key in ('gt_bboxes_labels', 'gt_ignore_flags'):
        assert np.array_equal(ours[key], theirs[key])
    masks, expected = ours['gt_masks'], theirs['gt_masks']
    assert (masks.height, masks.width) == (expected.height, expected.width)
    assert np.array_equal(masks.to_ndarray(), expected.masks)


@pytest.mark.parametrize('config', TRANSFORM_CONFIGS[:8], ids=str)
def test_transform_without_objects(config):
    transform = TRANSFORMS.build(config)
    ours, theirs = (
        apply([transform], kind, 0, count=0)
        for kind in (CroppedBitmapMasks.from_bitmap_masks, plain)
    )
    check_same(ours, theirs)


@pytest.mark.parametrize(
    'config',
    [
        dict(type='CachedMosaic', img_scale=(64, 64)),
        dict(type='CachedMixUp', img_scale=(64, 64), prob=1.0),
    ],
    ids=lambda config: config['type'],
)
def test_cached_mixing(config):
    """Both keep earlier results and paste them in; sizes are square."""
    outputs = []
    for kind in (CroppedBitmapMasks.from_bitmap_masks, plain):
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        transform = TRANSFORMS.build(config)
        resize = TRANSFORMS.build(
            dict(type='Resize', scale=(64, 64), keep_ratio=False)
        )
        outputs.append(
            [transform(resize(sample(seed, kind))) for seed in range(12)]
        )
    for ours, theirs in zip(*outputs, strict=True):
        check_same(ours, theirs)
    assert any(len(ours['gt_masks']) > 5 for ours in outputs[0])


def test_copy_paste_of_mmdetection():
    transform = TRANSFORMS.build(dict(type='CopyPaste', selected=False))
    both = []
    for kind in (CroppedBitmapMasks.from_bitmap_masks, plain):
        results = sample(0, kind)
        results['mix_results'] = [sample(1, kind)]
        both.append(transform(results))
    check_same(*both)


def test_albu_makes_the_container_from_whole_masks():
    """What Albu does before and after the library, which is optional."""
    masks = sample(0, CroppedBitmapMasks.from_bitmap_masks)['gt_masks']
    taken = [mask for mask in masks.masks]
    for given in (taken, np.array(taken)):
        made = masks.__class__(given, masks.height, masks.width)
        assert np.array_equal(made.to_ndarray(), masks.to_ndarray())


def test_packing():
    packer = TRANSFORMS.build(
        dict(type='PackDetInputs', meta_keys=('img_id', 'img_shape'))
    )
    ours, theirs = (
        packer(sample(2, kind))['data_samples']
        for kind in (CroppedBitmapMasks.from_bitmap_masks, plain)
    )
    for name in ('gt_instances', 'ignored_instances'):
        masks, expected = ours.get(name).masks, theirs.get(name).masks
        assert len(expected)
        assert isinstance(masks, CroppedBitmapMasks)
        assert np.array_equal(masks.to_ndarray(), expected.masks)
