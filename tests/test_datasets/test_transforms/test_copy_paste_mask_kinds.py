"""Bitmaps, polygons and cropped masks give one and the same result."""

import json
import warnings

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.registry import DATASETS
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from mmengine.registry import TRANSFORMS, init_default_scope
from paste_samples import SIZE, rectangle, sample, with_source

from mmcp.functional.patches import patch_from_polygons, write_patch
from mmcp.structures import CroppedBitmapMasks

KINDS = {
    'polygons': lambda masks: masks,
    'bitmaps': lambda masks: masks.to_bitmap(),
    'cropped': CroppedBitmapMasks.from_polygon_masks,
}


def outlines(rng, count):
    """Random triangles, some as thin as a hair, some beyond the border."""
    parts = []
    for _ in range(count):
        centre = rng.uniform(0, SIZE[::-1], 2)
        points = centre + rng.normal(0, rng.choice([0.2, 3, 12]), (3, 2))
        if rng.random() < 0.3:
            points[:, 1] = points[0, 1] + rng.uniform(0, 0.3, 3)
        parts.append([points.reshape(-1)])
    return PolygonMasks(parts, *SIZE)


def results_of(masks, kind, rng_image, labels):
    bitmaps = masks.to_bitmap()
    return dict(
        sample(bitmaps.masks, labels=labels, image=rng_image),
        gt_masks=KINDS[kind](masks),
    )


@given(
    st.integers(0, 5),
    st.integers(1, 5),
    st.integers(0, 2**32 - 1),
    st.sampled_from(['random', 'one', 'all']),
    st.sampled_from(['if_changed', 'always']),
)
@settings(max_examples=40)
def test_every_mix_of_kinds(below, above, seed, count, mode):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 255, (2, *SIZE, 3), dtype=np.uint8)
    masks = outlines(rng, below), outlines(rng, above)
    transform = TRANSFORMS.build(
        dict(type='mmcp.CopyPaste', num_pasted=count, box_update=mode)
    )
    outs = []
    for lower in KINDS:
        for upper in KINDS:
            destination = results_of(masks[0], lower, images[0], range(below))
            labels = range(10, 10 + above)
            source = results_of(masks[1], upper, images[1], labels)
            np.random.seed(seed % 2**32)  # noqa: NPY002
            outs.append(transform(with_source(destination, source)))
    first = outs[0]
    for out in outs[1:]:
        assert np.array_equal(out['img'], first['img'])
        boxes = out['gt_bboxes'].numpy(), first['gt_bboxes'].numpy()
        assert np.array_equal(*boxes)
        assert out['gt_bboxes_labels'].tolist() == (
            first['gt_bboxes_labels'].tolist()
        )
        assert np.array_equal(full(out['gt_masks']), full(first['gt_masks']))


def full(masks):
    if isinstance(masks, PolygonMasks):
        masks = masks.to_bitmap()
    return masks.to_ndarray()


def test_cropped_masks_stay_cropped_and_untouched_ones_lazy():
    square = np.array([[20, 20, 30, 20, 30, 30, 20, 30.0]])
    masks = PolygonMasks([[square[0]], [square[0] - 15]], *SIZE)
    destination = dict(
        sample(masks.to_bitmap().masks),
        gt_masks=CroppedBitmapMasks.from_polygon_masks(masks),
    )
    source = sample([rectangle(25, 25, 40, 38)], labels=[9])
    transform = TRANSFORMS.build(dict(type='mmcp.CopyPaste', num_pasted='all'))
    out = transform(with_source(destination, source))
    assert type(out['gt_masks']) is CroppedBitmapMasks
    kinds = [type(item).__name__ for item in out['gt_masks'].items]
    assert kinds == ['Patch', 'Polygons', 'Patch']
    assert type(source['gt_masks']) is BitmapMasks


@pytest.fixture
def folder(tmp_path):
    """Two images: polygons, an RLE crowd, a broken polygon."""
    annotations = []
    crowd = {'size': [60, 80], 'counts': [60 * 40, 600, 60 * 40 - 600]}
    for image in (0, 1):
        cv2.imwrite(
            str(tmp_path / f'{image}.png'),
            np.full((60, 80, 3), 60 + 90 * image, np.uint8),
        )
        for segmentation, box, iscrowd in [
            ([[5, 5, 25, 5, 25, 30, 5, 30]], [5, 5, 20, 25], 0),
            ([[30, 10, 38, 12, 34, 28]], [30, 10, 8, 18], 0),
            (crowd, [40, 0, 10, 60], 1),
            ([[50, 5, 60, 9]], [50, 5, 10, 4], 0),
        ]:
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=image,
                    category_id=1,
                    bbox=box,
                    area=box[2] * box[3],
                    iscrowd=iscrowd,
                    segmentation=segmentation,
                )
            )
    images = [
        dict(id=i, file_name=f'{i}.png', height=60, width=80) for i in (0, 1)
    ]
    content = dict(
        images=images,
        annotations=annotations,
        categories=[dict(id=1, name='thing')],
    )
    (tmp_path / 'coco.json').write_text(json.dumps(content))
    return tmp_path


def test_the_whole_path_from_files_to_a_packed_sample(folder):
    init_default_scope('mmdet')
    dataset = DATASETS.build(
        dict(
            type='mmcp.CopyPasteDataset',
            dataset=dict(
                type='CocoDataset',
                data_root=str(folder),
                ann_file='coco.json',
                data_prefix=dict(img=''),
                metainfo=dict(classes=('thing',)),
                pipeline=[
                    dict(type='LoadImageFromFile'),
                    dict(
                        type='mmcp.LoadAnnotations',
                        with_bbox=True,
                        with_mask=True,
                    ),
                    dict(
                        type='mmcp.ScaleJitter',
                        size=(96, 96),
                        ratio_range=(0.8, 1.25),
                    ),
                ],
            ),
            copy_paste=dict(num_pasted='all'),
        )
    )
    np.random.seed(0)  # noqa: NPY002
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        samples = [dataset[i % 2] for i in range(8)]
    for packed in samples:
        assert packed['inputs'].shape == (3, 96, 96)
        found = packed['data_samples']
        valid, ignored = found.gt_instances, found.ignored_instances
        assert 2 <= len(valid) <= 4
        assert len(ignored) >= 1
        assert (valid.masks.to_ndarray().any((1, 2))).all()
        assert len(valid.bboxes) == len(valid.masks) == len(valid.labels)
        assert all(
            type(item).__name__ == 'Patch' for item in valid.masks.items
        )


def test_a_sliver_without_pixels_is_no_candidate():
    sliver = np.array([10, 10.1, 30, 10.15, 20, 10.12])
    square = np.array([5, 5, 15, 5, 15, 15, 5, 15.0])
    canvas = np.zeros(SIZE, np.uint8)
    write_patch(patch_from_polygons([sliver], *SIZE), canvas)
    assert not canvas.any()
    masks = PolygonMasks([[sliver], [square]], *SIZE)
    source = dict(
        sample(masks.to_bitmap().masks, labels=[1, 2]),
        gt_masks=CroppedBitmapMasks.from_polygon_masks(masks),
    )
    transform = TRANSFORMS.build(dict(type='mmcp.CopyPaste', num_pasted='one'))
    for _ in range(20):
        out = transform(with_source(sample(), source))
        assert out['gt_bboxes_labels'].tolist() == [2]
