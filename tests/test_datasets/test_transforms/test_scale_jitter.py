import copy
import glob

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmcv.image import rescale_size
from mmcv.transforms import RandomResize
from mmdet.datasets.transforms import (
    FilterAnnotations,
    Pad,
    RandomCrop,
    RandomFlip,
)
from mmdet.structures.bbox import (
    BaseBoxes,
    HorizontalBoxes,
    register_box,
    register_box_converter,
)
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from mmengine.registry import init_default_scope
from scipy import stats

from mmcp.datasets.transforms import ScaleJitter
from mmcp.datasets.transforms.postponed_images import postponed_images
from mmcp.functional.jitter import JitterParams
from mmcp.functional.jittered_image import JitteredImage
from mmcp.functional.patches import Patch
from mmcp.registry import TRANSFORMS
from mmcp.structures import CroppedBitmapMasks, Polygons

GRAY = (104, 116, 124)
ROW_KEYS = ('gt_bboxes_labels', 'gt_ignore_flags', 'gt_instances_ids')


def mmdet_steps(params, recompute_bbox, keep_empty_masks=False):
    """MMDetection's transforms, made to draw what ``params`` holds."""
    init_default_scope('mmdet')
    size = params.output[::-1]
    ratio = params.ratio
    crop = RandomCrop(
        crop_size=size,
        recompute_bbox=recompute_bbox,
        allow_negative_crop=True,
    )
    crop._rand_offset = lambda margin: params.offset
    steps = [
        RandomResize(size, ratio_range=(ratio, ratio), keep_ratio=True),
        crop,
        RandomFlip(prob=float(params.flip)),
        Pad(size=size, pad_val=dict(img=GRAY, seg=255)),
    ]
    if not keep_empty_masks:
        rule = FilterAnnotations(
            by_box=False, by_mask=True, min_gt_mask_area=1, keep_empty=False
        )
        steps.insert(2, rule)
    return steps


def run(steps, results):
    for step in steps:
        results = step(results)
    return results


def copied(results):
    """What in-place transforms may destroy."""
    return copy.deepcopy(results)


def blobs(rng, count, size):
    """Random masks, some of them touching the border, some tiny."""
    masks = np.zeros((count, *size), np.uint8)
    for mask in masks:
        y, x = rng.integers(0, size[0]), rng.integers(0, size[1])
        h, w = rng.integers(1, size[0] + 1), rng.integers(1, size[1] + 1)
        part = mask[y : y + h, x : x + w]
        part[...] = rng.random(part.shape) < 0.8
        part[0, 0] = 1
    return masks


def sample(rng, count=5, size=(40, 56), **extra):
    masks = BitmapMasks(blobs(rng, count, size), *size)
    boxes = masks.get_bboxes('hbox').tensor.numpy() if count else []
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    boxes += rng.uniform(-0.4, 0.4, boxes.shape).astype(np.float32)
    smooth = np.add.outer(np.arange(size[0]), np.arange(size[1]))
    image = np.stack([smooth, smooth * 2, smooth[::-1]], -1) % 200
    return dict(
        img=image.astype(np.uint8),
        img_shape=size,
        ori_shape=size,
        gt_bboxes=HorizontalBoxes(boxes),
        gt_bboxes_labels=rng.integers(0, 9, count),
        gt_masks=masks,
        gt_ignore_flags=rng.random(count) < 0.3,
        gt_seg_map=rng.integers(0, 9, size, dtype=np.uint8),
        **extra,
    )


@st.composite
def jitters(draw, size=(40, 56)):
    output = draw(st.tuples(*[st.integers(16, 90)] * 2))
    free = JitterParams(size, output, draw(st.floats(0.1, 2.5)))
    offset = tuple(
        draw(st.integers(0, r - w))
        for r, w in zip(free.resized, free.window, strict=True)
    )
    return JitterParams(size, output, free.ratio, offset, draw(st.booleans()))


def build(params, **kwargs):
    return ScaleJitter(params.output[::-1], **kwargs)


def assert_same_scalars(ours, theirs):
    """Everything but the image and the annotations is as MMDetection's."""
    names = {k for k in theirs if k != 'img' and not k.startswith('gt_')}
    assert names == {k for k in ours if k != 'img' and not k.startswith('gt_')}
    for name in names - {'homography_matrix'}:
        assert ours[name] == theirs[name], name
    np.testing.assert_allclose(
        ours['homography_matrix'], theirs['homography_matrix'], rtol=1e-5
    )
    assert ours['homography_matrix'].dtype == np.float32


@given(jitters(), st.integers(0, 2**31), st.integers(0, 6))
def test_bitmaps_match_mmdetection(params, seed, count):
    """Image, boxes, masks, rows, seg map and every other key."""
    results = sample(np.random.default_rng(seed), count)
    before = copied(results)
    theirs = run(mmdet_steps(params, recompute_bbox=True), copied(results))
    ours = build(params, recompute_bbox=True).apply(results, params)
    assert_same_scalars(ours, theirs)
    difference = np.abs(ours['img'].astype(int) - theirs['img'])
    assert difference.mean() <= 1
    np.testing.assert_array_equal(ours['gt_seg_map'], theirs['gt_seg_map'])
    np.testing.assert_array_equal(
        ours['gt_masks'].to_ndarray(), theirs['gt_masks'].masks
    )
    np.testing.assert_array_equal(
        ours['gt_bboxes'].numpy(), theirs['gt_bboxes'].numpy()
    )
    for key in ROW_KEYS[:2]:
        np.testing.assert_array_equal(ours[key], theirs[key])
    # Nothing was changed in place.
    np.testing.assert_array_equal(results['img'], before['img'])
    np.testing.assert_array_equal(
        results['gt_bboxes'].numpy(), before['gt_bboxes'].numpy()
    )
    np.testing.assert_array_equal(
        results['gt_masks'].masks, before['gt_masks'].masks
    )
    assert results.keys() == before.keys()


@given(jitters(), st.integers(0, 2**31))
def test_clipped_boxes_match_mmdetection_without_recomputing(params, seed):
    results = sample(np.random.default_rng(seed), 6)
    theirs = run(mmdet_steps(params, recompute_bbox=False), copied(results))
    ours = build(params, recompute_bbox=False).apply(results, params)
    np.testing.assert_array_equal(
        ours['gt_bboxes'].numpy(), theirs['gt_bboxes'].numpy()
    )


@given(jitters(), st.integers(0, 2**31))
def test_box_data_matches_mmdetection(params, seed):
    """Without masks; instance ids are kept too."""
    results = sample(np.random.default_rng(seed), 6)
    del results['gt_masks']
    results['gt_instances_ids'] = np.arange(6) * 7
    steps = mmdet_steps(params, False, keep_empty_masks=True)
    theirs = run(steps, copied(results))
    ours = build(params).apply(results, params)
    np.testing.assert_array_equal(
        ours['gt_bboxes'].numpy(), theirs['gt_bboxes'].numpy()
    )
    for key in ROW_KEYS:
        np.testing.assert_array_equal(ours[key], theirs[key])
    assert 'gt_masks' not in ours


def star(rng, center, radius):
    # MMDetection cuts loops off self-crossing polygons, so make none.
    count = rng.integers(5, 12)
    angles = (np.arange(count) + rng.uniform(0, 0.9)) * 2 * np.pi / count
    radii = radius * rng.uniform(0.6, 1, len(angles))
    points = np.stack([np.cos(angles), np.sin(angles)], 1) * radii[:, None]
    return (points + center).reshape(-1)


def polygon_sample(seed, size=(120, 160), count=6):
    """Stars inside the image; the same objects for both loaders."""
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(count):
        radius = rng.uniform(8, 35)
        center = rng.uniform((radius, radius), np.array(size[::-1]) - radius)
        parts.append([star(rng, center, radius)])
    corners = [part[0].reshape(-1, 2) for part in parts]
    outlines = np.array([[*p.min(0), *p.max(0)] for p in corners])
    results = sample(rng, 0, size)
    results.update(
        gt_bboxes=HorizontalBoxes(outlines.astype(np.float32)),
        gt_bboxes_labels=np.arange(count),
        gt_ignore_flags=np.zeros(count, bool),
    )
    theirs = dict(results, gt_masks=PolygonMasks(copy.deepcopy(parts), *size))
    items = [Polygons(part) for part in parts]
    return dict(results, gt_masks=CroppedBitmapMasks(items, *size)), theirs


def iou(a, b):
    return np.count_nonzero(a & b) / max(np.count_nonzero(a | b), 1)


@settings(max_examples=25)
@given(
    st.integers(0, 2**31),
    st.floats(0.4, 2),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
    st.booleans(),
)
def test_polygons_match_mmdetections_polygons(seed, ratio, place, flip):
    results, theirs = polygon_sample(seed)
    free = JitterParams((120, 160), (200, 200), ratio)
    offset = tuple(
        int(share * (r - w))
        for share, r, w in zip(place, free.resized, free.window, strict=True)
    )
    params = JitterParams((120, 160), (200, 200), ratio, offset, flip)
    steps = mmdet_steps(params, False, keep_empty_masks=True)
    theirs = run(steps, copied(theirs))
    ours = build(params, recompute_bbox=False).apply(results, params)
    rows = {label: row for row, label in enumerate(theirs['gt_bboxes_labels'])}
    for row, label in enumerate(ours['gt_bboxes_labels']):
        other = rows.pop(label)
        np.testing.assert_array_equal(
            ours['gt_bboxes'].numpy()[row], theirs['gt_bboxes'].numpy()[other]
        )
        mask = ours['gt_masks'][row].to_ndarray()[0]
        expected = theirs['gt_masks'][other].to_bitmap().masks[0]
        # IoU 0.99 but for single pixels, where coordinates are rounded.
        different = np.count_nonzero(mask != expected)
        assert different <= 0.01 * np.count_nonzero(mask | expected) + 3
    # What only they keep has a box in the crop and not a pixel.
    assert all(
        not theirs['gt_masks'][row].to_bitmap().masks.any()
        for row in rows.values()
    )


def test_masks_lie_on_their_objects():
    """The image is painted by the mask, so they must move alike."""
    outline = polygon((40, 30), (120, 20), (130, 90), (90, 60), (60, 110))
    masks = CroppedBitmapMasks([outline], 120, 160)
    painted = masks.to_ndarray()[0] * 255
    results = dict(
        img=np.repeat(painted[..., None], 3, -1),
        gt_bboxes=masks.get_bboxes('hbox'),
        gt_masks=masks,
    )
    jitter = ScaleJitter(160, ratio_range=(0.6, 2), pad_val=0)
    rng = np.random.default_rng(0)
    compared = 0
    for _ in range(20):
        moved = jitter(dict(results, sample_rng=rng))
        if len(moved['gt_masks']) and moved['gt_masks'].areas[0] > 400:
            compared += 1
            pixels = moved['img'][..., 0] >= 128
            mask = moved['gt_masks'].to_ndarray()[0].astype(bool)
            assert iou(pixels, mask) >= 0.93
    assert compared >= 15


def test_real_images_match_mmdetection(shared_data):
    """Every tenth image of coco_small, polygons and crowd regions."""
    from mmdet.datasets import CocoDataset

    init_default_scope('mmdet')
    root = f'{shared_data}/coco_small/'
    (ann_file, *_) = sorted(glob.glob(f'{root}annotations/*train*.json'))
    data = CocoDataset(
        data_root=root, ann_file=ann_file, data_prefix=dict(img='train2017/')
    )
    load = TRANSFORMS.build(dict(type='LoadImageFromFile'))
    annotate = dict(with_bbox=True, with_mask=True)
    theirs_load = TRANSFORMS.build(
        dict(type='mmdet.LoadAnnotations', poly2mask=False, **annotate)
    )
    ours_load = TRANSFORMS.build(dict(type='mmcp.LoadAnnotations', **annotate))
    jitter = ScaleJitter(512, recompute_bbox=False)
    rng = np.random.default_rng(0)
    ious = []
    for index in range(0, len(data), 10):
        image = load(data.get_data_info(index))
        params = jitter.draw(dict(image, sample_rng=rng))
        ours = jitter.apply(ours_load(dict(image)), params)
        steps = mmdet_steps(params, False, keep_empty_masks=True)
        theirs = run(steps, theirs_load(copied(image)))
        difference = np.abs(ours['img'].astype(int) - theirs['img'])
        assert difference.mean() <= 1
        boxes = theirs['gt_bboxes'].numpy()
        for row, box in enumerate(ours['gt_bboxes'].numpy()):
            (matches,) = np.nonzero((np.abs(boxes - box) <= 0.5).all(1))
            assert len(matches)
            if ours['gt_ignore_flags'][row]:
                continue  # MMDetection drops crowd masks here.
            mask = ours['gt_masks'][row].to_ndarray()[0]
            if mask.sum() > 100:
                candidates = theirs['gt_masks'][matches].to_bitmap().masks
                ious.append(max(iou(mask, other) for other in candidates))
    assert len(ious) > 40
    assert np.mean(np.array(ious) >= 0.99) >= 0.98
    assert min(ious) >= 0.95


def known(masks, boxes, **extra):
    """An 8x8 image, to be doubled so that its upper right is kept."""
    results = dict(
        img=np.zeros((8, 8, 3), np.uint8),
        gt_bboxes=HorizontalBoxes(np.array(boxes, np.float32)),
        gt_bboxes_labels=np.arange(len(boxes)),
        gt_ignore_flags=np.zeros(len(boxes), bool),
        gt_masks=CroppedBitmapMasks(masks, 8, 8),
    )
    return dict(results, **extra)


WINDOW = JitterParams((8, 8), (8, 8), 2.0, (0, 8))


def polygon(*points):
    return Polygons([np.array(points, float).reshape(-1)])


def rectangle(x0, y0, x1, y1):
    return polygon(x0, y0, x1, y0, x1, y1, x0, y1)


def test_only_cut_boxes_are_recomputed():
    """A loose box stays as annotated unless the crop cuts its object."""
    masks = [rectangle(5, 1, 7, 3), rectangle(3, 1, 6, 3)]
    results = known(masks, [[4.5, 0.5, 7.5, 3.5], [2.5, 0.5, 6.5, 3.5]])
    out = ScaleJitter(8).apply(results, WINDOW)
    expected = [[1, 1, 7, 7], [0, 2, 4, 6]]
    np.testing.assert_array_equal(out['gt_bboxes'].numpy(), expected)
    every = ScaleJitter(8, recompute_bbox=True).apply(results, WINDOW)
    expected = [[2, 2, 6, 6], [0, 2, 4, 6]]
    np.testing.assert_array_equal(every['gt_bboxes'].numpy(), expected)
    none = ScaleJitter(8, recompute_bbox=False).apply(results, WINDOW)
    expected = [[1, 1, 7, 7], [0, 1, 5, 7]]
    np.testing.assert_array_equal(none['gt_bboxes'].numpy(), expected)


def test_objects_without_a_pixel_left_go():
    masks = [
        rectangle(5, 1, 7, 3),
        rectangle(0, 0, 2, 2),  # its box lies outside
        rectangle(0, 4, 2, 6),  # its box reaches in, its pixels do not
        polygon(5, 5, 7, 7, 5, 5),  # no area
        Patch(1, 1, np.ones((2, 2), np.uint8)),
    ]
    boxes = [[5, 1, 7, 3], [0, 0, 2, 2], [0, 4, 5, 6], [5, 5, 7, 7],
             [1, 1, 5, 3]]  # fmt: skip
    out = ScaleJitter(8).apply(known(masks, boxes), WINDOW)
    assert out['gt_bboxes_labels'].tolist() == [0]
    assert len(out['gt_masks']) == len(out['gt_bboxes']) == 1
    assert out['gt_ignore_flags'].tolist() == [False]


def test_an_ignored_region_without_a_mask_is_its_box():
    masks = [Polygons([]), Polygons([]), Polygons([]), rectangle(0, 4, 2, 6)]
    boxes = [[3, 1, 7, 3], [0, 0, 2, 2], [5, 1, 7, 3], [0, 4, 5, 6]]
    flags = np.array([True, True, False, True])
    results = known(masks, boxes, gt_ignore_flags=flags)
    out = ScaleJitter(8, recompute_bbox=True).apply(results, WINDOW)
    assert out['gt_bboxes_labels'].tolist() == [0]
    np.testing.assert_array_equal(out['gt_bboxes'].numpy(), [[0, 2, 6, 6]])
    assert out['gt_masks'].areas.tolist() == [0]


def test_thin_polygons_that_vanish_when_shrunk_go():
    line = rectangle(10, 50.1, 90, 50.3)
    bar = rectangle(10, 20, 90, 40)
    results = dict(
        img=np.zeros((100, 100, 3), np.uint8),
        gt_bboxes=HorizontalBoxes(
            np.array([[10, 45, 90, 55], [10, 20, 90, 40]], np.float32)
        ),
        gt_masks=CroppedBitmapMasks([line, bar], 100, 100),
    )
    out = ScaleJitter(100).apply(
        results, JitterParams((100, 100), (100, 100), 0.1)
    )
    assert len(out['gt_masks']) == len(out['gt_bboxes']) == 1
    assert out['gt_masks'].areas.tolist() == [16]


def test_polygons_stay_polygons_unless_asked():
    results, _ = polygon_sample(0, count=3)
    params = JitterParams((120, 160), (160, 160), 1.0)
    out = ScaleJitter(160).apply(results, params)
    assert [type(item) for item in out['gt_masks'].items] == [Polygons] * 3


def test_same_seed_same_sample():
    results = sample(np.random.default_rng(0))
    jitter = ScaleJitter(48)

    def drawn(seed):
        rng = np.random.default_rng(seed)
        return jitter(dict(results, sample_rng=rng))

    a, b, c = drawn(1), drawn(1), drawn(2)
    np.testing.assert_array_equal(a['img'], b['img'])
    assert a['scale'] == b['scale']
    assert (a['scale'], a['img'].tolist()) != (c['scale'], c['img'].tolist())


def test_without_a_generator_numpys_global_state_counts():
    results = sample(np.random.default_rng(0))
    jitter = ScaleJitter(48)
    drawn = []
    for seed in (1, 1, 2):
        np.random.seed(seed)  # noqa: NPY002
        drawn.append([jitter.draw(results) for _ in range(3)])
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(set(drawn[0])) == 3


def test_draws_are_distributed_as_mmdetections():
    """Two-sample Kolmogorov-Smirnov on sizes and offsets, binomial flip."""
    rng = np.random.default_rng(0)
    np.random.seed(0)  # noqa: NPY002
    image = np.zeros((300, 400, 1), np.uint8)
    init_default_scope('mmdet')
    jitter = ScaleJitter((400, 400), (0.5, 2.0), flip_prob=0.4)
    resize = RandomResize((400, 400), ratio_range=(0.5, 2.0), keep_ratio=True)
    crop = RandomCrop((400, 400), allow_negative_crop=True)
    flip = RandomFlip(prob=0.4)
    ours = [jitter.draw(dict(img=image, sample_rng=rng)) for _ in range(3000)]
    theirs = []
    for _ in range(3000):
        size = rescale_size((400, 300), resize._random_scale())[::-1]
        margin = [max(side - 400, 0) for side in size]
        theirs.append((*size, *crop._rand_offset(margin)))
    drawn = np.array([(*p.resized, *p.offset) for p in ours])
    for mine, other in zip(drawn.T, np.array(theirs).T, strict=True):
        assert stats.ks_2samp(mine, other).pvalue > 0.01
    for flips in (
        sum(params.flip for params in ours),
        sum(flip._choose_direction() is not None for _ in range(3000)),
    ):
        assert stats.binomtest(flips, 3000, 0.4).pvalue > 0.01


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_ndarray_boxes_stay_ndarrays(dtype):
    results = sample(np.random.default_rng(0))
    expected = ScaleJitter(48).apply(results, WINDOW_OF_SAMPLE)
    results['gt_bboxes'] = results['gt_bboxes'].numpy().astype(dtype)
    out = ScaleJitter(48).apply(results, WINDOW_OF_SAMPLE)
    assert type(out['gt_bboxes']) is np.ndarray
    np.testing.assert_array_equal(
        out['gt_bboxes'], expected['gt_bboxes'].numpy()
    )


WINDOW_OF_SAMPLE = JitterParams((40, 56), (48, 48), 1.5, (0, 11), True)

# A box type of its own with the arithmetic of horizontal boxes.
OtherBoxes = type(
    'OtherBoxes',
    (BaseBoxes,),
    {
        name: value
        for name, value in vars(HorizontalBoxes).items()
        if name not in ('__dict__', '__weakref__', '__init__')
    },
)
register_box('mmcp_other', OtherBoxes, force=True)
register_box_converter('mmcp_other', 'hbox', lambda boxes: boxes, force=True)


def test_other_box_types_keep_their_type():
    results = sample(np.random.default_rng(0))
    expected = ScaleJitter(48).apply(results, WINDOW_OF_SAMPLE)
    boxes = OtherBoxes(results['gt_bboxes'].tensor)
    out = ScaleJitter(48).apply(
        dict(results, gt_bboxes=boxes), WINDOW_OF_SAMPLE
    )
    assert type(out['gt_bboxes']) is OtherBoxes
    assert torch.equal(out['gt_bboxes'].tensor, expected['gt_bboxes'].tensor)
    assert torch.equal(boxes.tensor, results['gt_bboxes'].tensor)


def test_an_image_without_annotations():
    image = np.full((10, 12), 7, np.uint8)
    params = JitterParams((10, 12), (24, 24), 1.0)
    out = ScaleJitter(24, pad_val=3).apply(dict(img=image), params)
    expected = np.full((24, 24), 3)
    expected[:20] = 7
    np.testing.assert_array_equal(out['img'], expected)
    assert out['img_shape'] == out['pad_shape'] == (24, 24)


def test_no_objects():
    results = sample(np.random.default_rng(0), 0)
    out = ScaleJitter(48)(results)
    assert out['gt_bboxes'].tensor.shape == (0, 4)
    assert out['gt_masks'].to_ndarray().shape == (0, 48, 48)
    assert out['gt_bboxes_labels'].shape == (0,)


def test_pad_values():
    results = sample(np.random.default_rng(0))
    params = JitterParams((40, 56), (64, 64), 0.5)
    default = ScaleJitter(64).apply(results, params)
    assert default['img'][-1, -1].tolist() == list(GRAY)
    assert default['gt_seg_map'][-1, -1] == 255
    pad_val = dict(img=(1, 2, 3), seg=9)
    out = ScaleJitter(64, pad_val=pad_val).apply(results, params)
    assert out['img'][-1, -1].tolist() == [1, 2, 3]
    assert out['gt_seg_map'][-1, -1] == 9
    seg_only = ScaleJitter(64, pad_val=dict(seg=9)).apply(results, params)
    np.testing.assert_array_equal(seg_only['img'], default['img'])


@pytest.mark.parametrize(
    'key', ['gt_keypoints', 'gt_bboxes_ignore', 'gt_depth', 'proposals']
)
def test_annotations_that_would_go_stale_are_refused_by_name(key):
    results = sample(np.random.default_rng(0), **{key: np.zeros((5, 4))})
    with pytest.raises(ValueError, match=key):
        ScaleJitter(48)(results)
    assert ScaleJitter(48)(dict(results, **{key: None}))[key] is None


@pytest.mark.parametrize(
    ('change', 'error', 'message'),
    [
        ({'gt_masks': BitmapMasks([], 9, 9)}, ValueError, '40x56.*9x9'),
        ({'gt_seg_map': np.zeros((9, 8))}, ValueError, '40x56.*9x8'),
        ({'gt_bboxes_labels': np.arange(3)}, ValueError, 'labels.*: 3'),
        ({'gt_bboxes': None}, ValueError, "needs 'gt_bboxes'"),
        ({'gt_masks': np.zeros((5, 40, 56))}, TypeError, 'ndarray'),
        ({'img': np.zeros((40, 56, 4), np.uint8)}, ValueError, '4 channels'),
    ],
)
def test_annotations_that_disagree_are_refused(change, error, message):
    results = dict(sample(np.random.default_rng(0)), **change)
    with pytest.raises(error, match=message):
        ScaleJitter(48)(results)


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        ({'size': 0}, 'size'),
        ({'size': (10, -1)}, 'size'),
        ({'ratio_range': (0, 1)}, 'ratio_range'),
        ({'ratio_range': (2, 1)}, 'ratio_range'),
        ({'flip_prob': 1.5}, 'flip_prob'),
        ({'recompute_bbox': 'never'}, 'recompute_bbox'),
        ({'pad_val': dict(image=3)}, 'pad_val'),
        ({'pad_val': dict(img=3, masks=1)}, 'pad_val'),
    ],
)
def test_bad_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        ScaleJitter(**{'size': 32, **kwargs})


def test_built_from_a_config_with_a_telling_repr():
    jitter = TRANSFORMS.build(
        dict(type='mmcp.ScaleJitter', size=(64, 32), ratio_range=(0.8, 1.25))
    )
    assert repr(jitter) == (
        'ScaleJitter(size=(64, 32), ratio_range=(0.8, 1.25), flip_prob=0.5, '
        "pad_val={'img': (104, 116, 124), 'seg': 255}, "
        "recompute_bbox='if_cut')"
    )


@pytest.mark.parametrize(
    ('flip', 'extent'), [(False, (20, 30, 60, 40)), (True, (0, 30, 40, 40))]
)
def test_a_polygon_beyond_the_image_stays_out_of_the_padding(flip, extent):
    params = JitterParams((20, 30), (60, 60), 1.0, flip=flip)
    assert params.window == (40, 60)
    beyond = Polygons([np.array([10, 15, 35, 15, 35, 25, 10, 25.0])])
    inside = Polygons([np.array([1, 1, 4, 1, 4, 4.0])])
    results = dict(
        img=np.zeros((20, 30, 3), np.uint8),
        gt_bboxes=np.array([[10, 15, 30, 20], [1, 1, 4, 4]], np.float32),
        gt_masks=CroppedBitmapMasks([beyond, inside], 20, 30),
    )
    masks = ScaleJitter(60).apply(results, params)['gt_masks']
    first, second = masks.patches()
    assert first.extent == extent
    assert first.bitmap.all()
    alone = CroppedBitmapMasks([inside], 20, 30)
    alone = dict(results, gt_bboxes=results['gt_bboxes'][1:], gt_masks=alone)
    (expected,) = ScaleJitter(60).apply(alone, params)['gt_masks'].patches()
    assert second.extent == expected.extent
    np.testing.assert_array_equal(second.bitmap, expected.bitmap)


def test_an_image_may_be_made_later():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    params = JitterParams((40, 50), (64, 64), 1.5, (3, 5), True)
    jitter = ScaleJitter(64, pad_val=7)
    now = jitter.apply(dict(img=image), params)
    with postponed_images():
        later = jitter.apply(dict(img=image), params)
    assert isinstance(later['img'], JitteredImage)
    np.testing.assert_array_equal(np.asarray(later.pop('img')), now.pop('img'))
    assert isinstance(jitter.apply(dict(img=image), params)['img'], np.ndarray)
    assert later.keys() == now.keys()
    assert later['pad_shape'] == now['pad_shape'] == (64, 64, 3)
