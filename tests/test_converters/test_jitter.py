import copy

import numpy as np
import pytest
from migration.jitter import fuse_jitter
from migration.report import Options, Report
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope

LOAD = dict(type='LoadAnnotations', with_bbox=True, with_mask=True)
RESIZE = dict(
    type='RandomResize',
    scale=(64, 48),
    ratio_range=(0.5, 2.0),
    keep_ratio=True,
)
CROP = dict(
    type='RandomCrop',
    crop_type='absolute',
    crop_size=(64, 48),
    recompute_bbox=True,
    allow_negative_crop=True,
)
FILTER = dict(
    type='FilterAnnotations', min_gt_bbox_wh=(0.01, 0.01), keep_empty=False
)
FLIP = dict(type='RandomFlip', prob=0.5)
PAD = dict(type='Pad', size=(64, 48), pad_val=dict(img=(104, 116, 124)))
PACK = dict(type='PackDetInputs')
OTHER = dict(type='PhotoMetricDistortion')
JITTER = dict(
    type='mmcp.ScaleJitter',
    size=(64, 48),
    ratio_range=(0.5, 2.0),
    recompute_bbox=True,
)


def fuse(*steps, **options):
    """The fused pipeline and the report; inputs must not change."""
    before = copy.deepcopy(steps)
    report = Report()
    fused = fuse_jitter(list(steps), 'here', Options(**options), report)
    assert steps == before
    return fused, report


def reason(*steps, **options):
    """Why nothing was fused."""
    fused, report = fuse(*steps, **options)
    assert fused == list(steps)
    assert report.done == report.notes == []
    ((place, text),) = report.left
    assert place == 'here'
    return text


def test_the_whole_run_becomes_one():
    fused, report = fuse(LOAD, RESIZE, CROP, FILTER, FLIP, PAD, PACK)
    assert fused == [LOAD, JITTER, PACK]
    assert report.left == report.notes == []
    assert report.done[0] == (
        'here',
        'RandomResize, RandomCrop, RandomFlip, Pad -> mmcp.ScaleJitter',
    )
    assert 'FilterAnnotations is gone' in report.done[1][1]


@pytest.mark.parametrize(
    ('change', 'expected'),
    [
        (dict(crop=dict(recompute_bbox=False)), dict(recompute_bbox=False)),
        (dict(flip=dict(prob=0.25)), dict(flip_prob=0.25)),
        (dict(flip=dict(direction='horizontal')), {}),
        (dict(pad=dict(pad_val=0)), dict(pad_val=0)),
        (dict(pad=dict(pad_val=7)), dict(pad_val=7)),
        (
            dict(pad=dict(pad_val=dict(img=0, seg=255, masks=0))),
            dict(pad_val=0),
        ),
        (dict(pad=dict(pad_val=dict())), dict(pad_val=0)),
        (
            dict(pad=dict(pad_val=dict(img=(123.675, 116.28, 103.53)))),
            dict(pad_val=(124, 116, 104)),
        ),
        (
            dict(pad=dict(pad_val=dict(img=1, seg=0))),
            dict(pad_val=dict(img=1, seg=0)),
        ),
        (dict(resize=dict(scale=(128, 96))), dict(ratio_range=(1.0, 4.0))),
        (dict(resize=dict(resize_type='mmdet.Resize')), {}),
        (dict(resize=dict(backend='cv2', interpolation='bilinear')), {}),
        (dict(resize=dict(type='mmdet.RandomResize')), {}),
    ],
)
def test_arguments(change, expected):
    fused, _ = fuse(
        LOAD,
        RESIZE | change.get('resize', {}),
        CROP | change.get('crop', {}),
        FLIP | change.get('flip', {}),
        PAD | change.get('pad', {}),
    )
    assert fused == [LOAD, JITTER | expected]


def test_square_sizes_and_ranges_from_a_number_to_itself():
    fused, _ = fuse(
        RESIZE | dict(scale=(32, 32)),
        CROP | dict(crop_size=(32, 32), crop_type='absolute_range'),
        FLIP,
        PAD | dict(size=(32, 32)),
    )
    assert fused == [JITTER | dict(size=32)]


def test_padding_of_float_images_is_not_rounded():
    load = dict(type='LoadImageFromFile', to_float32=True)
    pad = PAD | dict(pad_val=dict(img=0.5))
    assert fuse(load, RESIZE, CROP, FLIP, pad)[0][1]['pad_val'] == 0.5
    assert fuse(RESIZE, CROP, FLIP, pad)[0][0]['pad_val'] == 0


def test_without_a_flip():
    fused, report = fuse(LOAD, RESIZE, CROP, PAD)
    assert fused == [LOAD, JITTER | dict(flip_prob=0.0)]
    assert 'loses its last pixel' in report.notes[0][1]


def test_flip_before_the_resize():
    assert fuse(LOAD, FLIP, RESIZE, CROP, PAD)[0] == [LOAD, JITTER]
    # One of another direction can stay there.
    vertical = FLIP | dict(direction='vertical')
    still = JITTER | dict(flip_prob=0.0)
    assert fuse(vertical, RESIZE, CROP, PAD)[0] == [vertical, still]
    assert fuse(FLIP, OTHER, RESIZE, CROP, PAD)[0] == [FLIP, OTHER, still]
    assert fuse(vertical, RESIZE, CROP, FLIP, PAD)[0] == [vertical, JITTER]


def test_what_follows_the_padding_stays():
    fused, _ = fuse(RESIZE, CROP, PAD, FLIP, FILTER, OTHER)
    assert fused == [JITTER | dict(flip_prob=0.0), FLIP, FILTER, OTHER]


@pytest.mark.parametrize(
    'change',
    [
        dict(keep_empty=True),
        dict(min_gt_bbox_wh=(1, 1)),
        dict(by_mask=True, min_gt_mask_area=32),
    ],
)
def test_filters_that_still_filter_stay(change):
    kept = FILTER | change
    fused, _ = fuse(LOAD, RESIZE, CROP, kept, FLIP, PAD)
    assert fused == [LOAD, JITTER, kept]


def test_filters_stay_where_boxes_are_not_made_from_masks():
    boxes = dict(type='LoadAnnotations', with_bbox=True)
    assert fuse(boxes, RESIZE, CROP, FILTER, FLIP, PAD)[0] == [
        boxes,
        JITTER,
        FILTER,
    ]
    loose = CROP | dict(recompute_bbox=False)
    assert FILTER in fuse(LOAD, RESIZE, loose, FILTER, FLIP, PAD)[0]
    by_mask = FILTER | dict(by_box=False, by_mask=True)
    assert by_mask not in fuse(LOAD, RESIZE, loose, by_mask, FLIP, PAD)[0]


def test_no_pad():
    assert '--pad accepts' in reason(RESIZE, CROP, FLIP)
    fused, report = fuse(
        RESIZE, CROP, FILTER, FLIP, OTHER, pad=True, pad_value=(1, 2, 3)
    )
    assert fused == [JITTER | dict(pad_val=(1, 2, 3)), FILTER, OTHER]
    assert 'img_shape' in report.notes[0][1]
    assert fuse(RESIZE, CROP, FLIP, pad=True)[0] == [JITTER]


@pytest.mark.parametrize(
    ('words', 'steps'),
    [
        ('no RandomResize', [LOAD, CROP, FLIP, PAD]),
        ('more than once', [RESIZE, CROP, RESIZE, CROP, PAD]),
        ('nothing follows RandomResize', [RESIZE]),
        (
            'PhotoMetricDistortion follows RandomResize instead of RandomCrop',
            [RESIZE, OTHER, CROP, FLIP, PAD],
        ),
        (
            'PhotoMetricDistortion stands between RandomCrop and Pad',
            [RESIZE, CROP, OTHER, FLIP, PAD],
        ),
        (
            'RandomFlip stands between RandomCrop and Pad',
            [RESIZE, CROP, FLIP, FLIP, PAD],
        ),
        (
            'cannot move proposals',
            [dict(type='LoadProposals'), RESIZE, CROP, FLIP, PAD],
        ),
    ],
)
def test_orders_that_stay(words, steps):
    assert words in reason(*steps)


@pytest.mark.parametrize(
    ('words', 'change'),
    [
        ('keep_ratio=False', dict(resize=dict(keep_ratio=False))),
        ("interpolation='area'", dict(resize=dict(interpolation='area'))),
        ("backend='pillow'", dict(resize=dict(backend='pillow'))),
        ('clip_object_border', dict(resize=dict(clip_object_border=False))),
        ('the argument speed', dict(resize=dict(speed=1))),
        ('uses MyResize', dict(resize=dict(resize_type='MyResize'))),
        ('several scales', dict(resize=dict(scale=[(9, 9), (8, 8)]))),
        ('several scales', dict(resize=dict(ratio_range=None))),
        ('aspect ratios', dict(resize=dict(scale=(64, 49)))),
        ("crop_type='relative'", dict(crop=dict(crop_type='relative'))),
        ('one size', dict(crop=dict(crop_type='absolute_range'))),
        ('without objects', dict(crop=dict(allow_negative_crop=False))),
        ('bbox_clip_border=False', dict(crop=dict(bbox_clip_border=False))),
        ('before RandomResize', dict(flip=dict(direction='vertical'))),
        (
            'before RandomResize',
            dict(flip=dict(prob=[0.3], direction=['diagonal'])),
        ),
        ('swap_seg_labels', dict(flip=dict(swap_seg_labels=[(1, 2)]))),
        ('one size', dict(pad=dict(size=(64, 64)))),
        ('size_divisor=32', dict(pad=dict(size_divisor=32))),
        ('pad_to_square=True', dict(pad=dict(pad_to_square=True))),
        ("padding_mode='edge'", dict(pad=dict(padding_mode='edge'))),
        ('pad_val', dict(pad=dict(pad_val=dict(img=0, masks=1)))),
    ],
)
def test_arguments_that_stay(words, change):
    text = reason(
        LOAD,
        RESIZE | change.get('resize', {}),
        CROP | change.get('crop', {}),
        FLIP | change.get('flip', {}),
        PAD | change.get('pad', {}),
    )
    assert words in text


def test_missing_arguments_count_as_mmdetections_defaults():
    resize = {k: v for k, v in RESIZE.items() if k != 'keep_ratio'}
    assert 'keep_ratio=False' in reason(resize, CROP, FLIP, PAD)
    crop = {k: v for k, v in CROP.items() if k != 'allow_negative_crop'}
    assert 'allow_negative_crop=False' in reason(RESIZE, crop, FLIP, PAD)
    bare = {k: v for k, v in CROP.items() if k != 'crop_type'}
    assert fuse(LOAD, RESIZE, bare, FLIP, PAD)[0] == [LOAD, JITTER]


def test_a_fused_pipeline_needs_nothing():
    fused, report = fuse(LOAD, JITTER, PACK)
    assert fused == [LOAD, JITTER, PACK]
    assert report == Report()


@pytest.mark.parametrize(
    'steps',
    [
        [RESIZE, CROP, FLIP, PAD],
        [FLIP, RESIZE | dict(scale=(96, 72)), CROP, PAD],
        [FLIP | dict(direction='vertical'), RESIZE, CROP, FLIP, PAD],
    ],
)
def test_same_distribution(steps):
    init_default_scope('mmdet')
    fused, _ = fuse(*steps)
    assert [step['type'] for step in fused][-1] == 'mmcp.ScaleJitter'
    old, new = (_matrices(pipeline) for pipeline in (steps, fused))
    assert old.shape == new.shape
    spread = np.sqrt((old.var(0) + new.var(0)) / len(old))
    assert (np.abs(old.mean(0) - new.mean(0)) <= 4.5 * spread + 1e-6).all()
    # Scales; the rest follows from them and from uniform offsets.
    for q in (0, 0.25, 0.5, 0.75, 1):
        a, b = (np.quantile(np.abs(m[:, 0, 0]), q) for m in (old, new))
        assert abs(a - b) < 0.15 * a


def _matrices(pipeline, count=1500):
    """Homographies of an image of 40x50, shape (count, 3, 3)."""
    np.random.seed(0)  # noqa: NPY002
    compose = Compose(pipeline)
    image = np.zeros((40, 50, 3), np.uint8)
    drawn = [
        compose(dict(img=image, img_shape=(40, 50))) for _ in range(count)
    ]
    assert {results['img'].shape for results in drawn} == {(48, 64, 3)}
    return np.array([results['homography_matrix'] for results in drawn])
