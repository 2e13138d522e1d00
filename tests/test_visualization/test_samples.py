"""Packed samples as pictures."""

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData

from mmcp.visualization import draw_instances, draw_sample

MASKS = np.zeros((2, 10, 12), dtype=np.uint8)
MASKS[0, 1:4, 1:5] = 1
MASKS[1, 5:9, 6:11] = 1
BOXES = torch.tensor([[1.0, 1, 5, 4], [6, 5, 11, 9]])


def instances(rows, boxes=None, masks=True):
    data = InstanceData(
        bboxes=BOXES[rows] if boxes is None else boxes,
        labels=torch.tensor([3, 1])[rows],
    )
    if masks:
        data.masks = BitmapMasks(MASKS[rows], 10, 12)
    return data


def packed(gt, ignored=None):
    image = torch.arange(360, dtype=torch.int32).reshape(3, 10, 12) % 200
    data_sample = DetDataSample(gt_instances=gt)
    if ignored is not None:
        data_sample.ignored_instances = ignored
    return {'inputs': image.to(torch.uint8), 'data_samples': data_sample}


def image_of(sample):
    return np.ascontiguousarray(sample['inputs'].numpy().transpose(1, 2, 0))


@pytest.mark.parametrize('kind', [lambda boxes: boxes, HorizontalBoxes])
def test_masks_boxes_and_labels_are_read(kind):
    sample = packed(instances([0, 1], boxes=kind(BOXES)))
    expected = draw_instances(
        image_of(sample),
        masks=MASKS,
        boxes=BOXES.numpy(),
        labels=np.array([3, 1]),
        scale=2,
    )
    assert (draw_sample(sample, scale=2) == expected).all()


def test_ignored_instances_are_drawn_below_in_gray():
    sample = packed(instances([0]), instances([1]))
    expected = draw_instances(
        image_of(sample),
        masks=MASKS[::-1],
        boxes=BOXES.numpy()[::-1],
        labels=np.array([-1, 3]),
    )
    assert (draw_sample(sample) == expected).all()


def test_boxes_without_masks_are_drawn():
    sample = packed(instances([0, 1], masks=False))
    expected = draw_instances(
        image_of(sample), boxes=BOXES.numpy(), labels=np.array([3, 1])
    )
    assert (draw_sample(sample) == expected).all()


def test_sample_without_instances_is_its_image():
    sample = packed(instances([]))
    assert (draw_sample(sample) == image_of(sample)).all()
