"""MMDetection's two-stage detectors with a few channels, and batches."""

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.structures import InstanceData

SIDE = 64
NUM_CLASSES = 3
BN = dict(type='BN', requires_grad=True)


def config_of(name):
    """``'mask'`` or ``'cascade-mask'``, narrowed, with BN everywhere."""
    base = f'mmdet::_base_/models/{name}-rcnn_r50_fpn.py'
    model = Config.fromstring(f'_base_ = {base!r}', '.py').model
    model.backbone.update(
        depth=18,
        base_channels=4,
        frozen_stages=-1,
        norm_eval=False,
        init_cfg=None,
    )
    model.neck.update(in_channels=[4, 8, 16, 32], out_channels=8, norm_cfg=BN)
    model.rpn_head.update(in_channels=8, feat_channels=8)
    head = model.roi_head
    head.bbox_roi_extractor.out_channels = 8
    head.mask_roi_extractor.out_channels = 8
    head.mask_head.update(
        num_convs=1,
        in_channels=8,
        conv_out_channels=8,
        num_classes=NUM_CLASSES,
        norm_cfg=BN,
    )
    if isinstance(head.bbox_head, list):
        for one in head.bbox_head:
            one.update(
                in_channels=8, fc_out_channels=8, num_classes=NUM_CLASSES
            )
    else:
        head.bbox_head.update(
            type='Shared4Conv1FCBBoxHead',
            in_channels=8,
            conv_out_channels=8,
            fc_out_channels=8,
            num_classes=NUM_CLASSES,
            norm_cfg=BN,
        )
    return model


def make_batch(count=2, seed=0):
    """What a data loader gives: squares of three classes on noise."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(
        0, 256, (count, 3, SIDE, SIDE), generator=generator, dtype=torch.uint8
    )
    samples = [_sample(i, generator) for i in range(count)]
    return dict(inputs=list(images), data_samples=samples)


def _sample(img_id, generator):
    corners = torch.randint(0, 32, (3, 2), generator=generator)
    boxes = torch.cat([corners, corners + 30], 1).float()
    masks = np.zeros((3, SIDE, SIDE), np.uint8)
    for mask, (x, y) in zip(masks, corners.tolist(), strict=True):
        mask[y : y + 30, x : x + 30] = 1
    sample = DetDataSample(
        metainfo=dict(
            img_id=img_id,
            img_shape=(SIDE, SIDE),
            ori_shape=(SIDE, SIDE),
            scale_factor=(1.0, 1.0),
            batch_input_shape=(SIDE, SIDE),
        )
    )
    sample.gt_instances = InstanceData(
        bboxes=boxes,
        labels=torch.arange(3),
        masks=BitmapMasks(masks, SIDE, SIDE),
    )
    sample.ignored_instances = InstanceData(
        bboxes=torch.zeros(0, 4),
        labels=torch.zeros(0, dtype=torch.long),
        masks=BitmapMasks(np.zeros((0, SIDE, SIDE), np.uint8), SIDE, SIDE),
    )
    return sample
