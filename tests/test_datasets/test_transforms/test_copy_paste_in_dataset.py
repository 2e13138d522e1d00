"""Copy-Paste inside MMDetection's own data sets, loaders and workers."""

import json
from functools import partial

import cv2
import numpy as np
import pycocotools.mask as coco_mask
import pytest
from mmdet.registry import DATASETS
from mmengine.dataset import pseudo_collate, worker_init_fn
from mmengine.registry import init_default_scope
from paste_samples import rectangle
from torch.utils.data import DataLoader

SIZE = (40, 48)


def runs(mask):
    """Uncompressed counts, as official COCO crowd annotations have."""
    flat = np.concatenate([[0], mask.reshape(-1, order='F'), [2]])
    edges = np.flatnonzero(np.diff(flat) != 0)
    counts = np.diff(np.concatenate([[0], edges])).tolist()
    if mask.flat[0]:
        counts = [0, *counts]
    return counts


def every_kind_of_segmentation():
    crowd = rectangle(30, 20, 48, 40, SIZE)
    compressed = coco_mask.encode(np.asfortranarray(crowd))
    compressed['counts'] = compressed['counts'].decode()
    return [
        ([[2, 2, 12, 2, 12, 12, 2, 12]], (2, 2, 10, 10), 0),
        (
            [[4, 20, 8, 20, 8, 24, 4, 24], [12, 20, 16, 20, 16, 24, 12, 24]],
            (4, 20, 12, 4),
            0,
        ),
        ({'size': list(SIZE), 'counts': runs(crowd)}, (30, 20, 18, 20), 1),
        (compressed, (30, 20, 18, 20), 0),
        ([[20, 2, 26, 9]], (20, 2, 6, 7), 0),
    ]


@pytest.fixture
def coco(tmp_path):
    """Four images with polygons, both RLE kinds, crowd, a broken polygon."""
    images, annotations = [], []
    rng = np.random.default_rng(0)
    for image in range(4):
        name = f'{image}.png'
        pixels = rng.integers(0, 255, (*SIZE, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / name), pixels)
        images.append(
            dict(id=image, file_name=name, height=SIZE[0], width=SIZE[1])
        )
        for segmentation, (x, y, w, h), crowd in every_kind_of_segmentation():
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=image,
                    category_id=1,
                    bbox=[x, y, w, h],
                    area=w * h,
                    iscrowd=crowd,
                    segmentation=segmentation,
                )
            )
    data = dict(
        images=images,
        annotations=annotations,
        categories=[dict(id=1, name='thing')],
    )
    (tmp_path / 'coco.json').write_text(json.dumps(data))
    return tmp_path


def mixed_dataset(folder, poly2mask=True, **kwargs):
    init_default_scope('mmdet')
    load = dict(type='LoadAnnotations', with_bbox=True, with_mask=True)
    return DATASETS.build(
        dict(
            type='MultiImageMixDataset',
            dataset=dict(
                type='CocoDataset',
                data_root=str(folder),
                ann_file='coco.json',
                data_prefix=dict(img=''),
                metainfo=dict(classes=('thing',)),
                pipeline=[
                    dict(type='LoadImageFromFile'),
                    dict(load, poly2mask=poly2mask),
                    dict(type='RandomFlip', prob=0.5),
                ],
            ),
            pipeline=[
                dict(type='mmcp.CopyPaste', **kwargs),
                dict(type='PackDetInputs'),
            ],
        )
    )


def unpack(sample):
    """Arrays of a packed sample, valid objects and ignored ones."""
    data = sample['data_samples']
    arrays = [sample['inputs'].numpy()]
    for group in (data.gt_instances, data.ignored_instances):
        arrays += [group.labels.numpy(), group.bboxes.numpy()]
        arrays.append(group.masks.masks)
    return arrays


@pytest.mark.parametrize('poly2mask', [True, False])
def test_every_annotation_kind_goes_through(coco, poly2mask):
    dataset = mixed_dataset(coco, poly2mask, num_pasted='all')
    image, labels, boxes, masks, *ignored = unpack(dataset[0])
    assert image.dtype == np.uint8
    assert len(labels) == len(boxes) == len(masks)
    # MMDetection's polygon mode turns run lengths into ignored objects.
    assert len(labels) >= (3 if poly2mask else 2)
    assert masks.any((1, 2)).all()
    assert len(ignored[0]) >= 1


def first_epoch(dataset, context, workers=2):
    """Two epochs, so that persistent workers are used again."""
    loader = DataLoader(
        dataset,
        batch_size=1,
        num_workers=workers,
        persistent_workers=workers > 0,
        multiprocessing_context=context,
        collate_fn=pseudo_collate,
        worker_init_fn=partial(
            worker_init_fn, num_workers=workers, rank=0, seed=5
        ),
    )
    samples = []
    for _ in range(2):
        for batch in loader:
            only = {key: value[0] for key, value in batch.items()}
            samples.append(unpack(only))
    return samples


@pytest.mark.slow
def test_workers_give_the_same_samples_however_they_start(coco):
    dataset = mixed_dataset(coco)
    forked = first_epoch(dataset, 'fork')
    again = first_epoch(dataset, 'fork')
    spawned = first_epoch(dataset, 'spawn')
    for other in (again, spawned):
        for left, right in zip(forked, other, strict=True):
            assert all(map(np.array_equal, left, right))
    images = [sample[0] for sample in forked]
    assert not np.array_equal(images[0], images[4])  # the next epoch differs
