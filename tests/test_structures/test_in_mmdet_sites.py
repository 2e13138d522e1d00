"""Places in MMDetection that ask for the class of a mask container.

Transforms and heads have files of their own. ``Albu`` and Detectron2 are
optional and not installed: test_in_mmdet_transforms does what they do.
"""

import numpy as np
import pytest
import torch
from mask_samples import random_masks
from mmdet.models.data_preprocessors import TrackDataPreprocessor
from mmdet.models.utils.misc import mask2ndarray
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.visualization import DetLocalVisualizer
from mmengine.structures import InstanceData

from mmcp.structures import CroppedBitmapMasks

SIZE = (40, 50)


@pytest.fixture
def pair():
    """The same masks in both containers."""
    masks = random_masks(np.random.default_rng(7), 8, *SIZE)
    masks = masks[np.flatnonzero(masks.areas)]
    assert len(masks) > 2
    return CroppedBitmapMasks.from_bitmap_masks(masks), masks


def data_sample(masks):
    sample = DetDataSample(metainfo=dict(img_shape=SIZE))
    sample.gt_instances = InstanceData(
        bboxes=masks.get_bboxes('hbox').tensor,
        labels=torch.arange(len(masks)) % 3,
        masks=masks,
    )
    return sample


def test_visualizer(pair):
    drawn = []
    for masks in pair:
        np.random.seed(0)  # noqa: NPY002
        visualizer = DetLocalVisualizer()
        visualizer.dataset_meta = dict(
            classes=('a', 'b', 'c'),
            palette=[(9, 9, 9), (0, 90, 0), (9, 0, 90)],
        )
        image = np.zeros((*SIZE, 3), np.uint8)
        visualizer.add_datasample(
            'x', image, data_sample(masks), draw_pred=False
        )
        drawn.append(visualizer.get_image())
    assert np.array_equal(*drawn)
    assert drawn[0].any()


def test_mask2ndarray(pair):
    ours, theirs = map(mask2ndarray, pair)
    assert np.array_equal(ours, theirs)


def test_horizontal_boxes(pair):
    ours, theirs = map(HorizontalBoxes.from_instance_masks, pair)
    assert torch.equal(ours.tensor, theirs.tensor)


def test_track_preprocessor(pair):
    padded = []
    for masks in pair:
        frames = [data_sample(masks) for _ in range(2)]
        for frame in frames:
            frame.set_metainfo(dict(batch_input_shape=(64, 64)))
        track = TrackDataSample(video_data_samples=frames)
        preprocessor = TrackDataPreprocessor(pad_mask=True)
        preprocessor.pad_track_gt_masks([track])
        padded.append([frame.gt_instances.masks for frame in track])
    for ours, theirs in zip(*padded, strict=True):
        assert isinstance(ours, CroppedBitmapMasks)
        assert np.array_equal(ours.to_ndarray(), theirs.masks)
