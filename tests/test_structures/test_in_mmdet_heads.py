"""Losses of MMDetection's models that learn from instance masks.

Each head gets its targets from the container in another way. The models are
MMDetection's own, with few channels.
"""

import copy
import random

import numpy as np
import pytest
import torch
from mask_samples import random_masks
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.hub import get_config
from mmengine.structures import InstanceData, PixelData

from mmcp.structures import CroppedBitmapMasks

SIZES = ((96, 128), (128, 96))
# What trains on images of one size only.
EQUAL_SIZES = ('yolact', 'rtmdet')
NARROWER = 8
CHANNEL_KEYS = {
    'conv_out_channels',
    'embed_dims',
    'fc_channels',
    'fc_out_channels',
    'feat_channels',
    'feedforward_channels',
    'in_channels',
    'mask_feature_channels',
    'num_feats',
    'out_channels',
    'out_conv_channels',
}
# Which method feeds the mask loss: crop_and_resize, areas and crop,
# to_tensor and pad.
MODEL_CONFIGS = [
    'mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
    'cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py',
    'htc/htc_r50_fpn_1x_coco.py',
    'scnet/scnet_r50_fpn_1x_coco.py',
    'ms_rcnn/ms-rcnn_r50_fpn_1x_coco.py',
    'point_rend/point-rend_r50-caffe_fpn_ms-1x_coco.py',
    'panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco.py',
    'yolact/yolact_r50_1xb8-55e_coco.py',
    'solo/solo_r50_fpn_1x_coco.py',
    'solo/decoupled-solo_r50_fpn_1x_coco.py',
    'solov2/solov2_r50_fpn_1x_coco.py',
    'condinst/condinst_r50_fpn_ms-poly-90k_coco_instance.py',
    'rtmdet/rtmdet-ins_tiny_8xb32-300e_coco.py',
    'mask2former/mask2former_r50_8xb2-lsj-50e_coco.py',
    'maskformer/maskformer_r50_ms-16xb1-75e_coco.py',
]


def build(name):
    config = get_config(f'mmdet::{name}').model
    simplify(config)
    if config.backbone.type == 'ResNet':
        narrow(config)
        config.backbone.base_channels = 64 // NARROWER
    with MODELS.switch_scope_and_registry('mmdet'):
        torch.manual_seed(0)
        model = MODELS.build(config)
    return model.train()


def nodes(tree):
    """Every dict in a tree of dicts and lists."""
    if isinstance(tree, dict):
        yield tree
        tree = list(tree.values())
    if isinstance(tree, (list, tuple)):
        for part in tree:
            yield from nodes(part)


def simplify(config):
    """No downloads, no processes, no large canvas."""
    for node in nodes(config):
        node.pop('init_cfg', None)
        if node.get('type') == 'SyncBN':
            node['type'] = 'BN'
        if node.get('type') == 'BatchFixedSizePad':
            node['size'] = (128, 128)


def narrow(config):
    for node in nodes(config):
        if node.get('type') == 'GN':
            node['num_groups'] = 4
        for key in CHANNEL_KEYS & node.keys():
            node[key] = divide(node[key])


def divide(value):
    if isinstance(value, int):
        return value // NARROWER if value >= 64 else value
    return [divide(part) for part in value]


def batch(kind, sizes):
    """Images with objects; ``kind`` makes the mask container."""
    rng = np.random.default_rng(0)
    images, samples = [], []
    for size in sizes:
        masks = random_masks(rng, 12, *size)
        masks = masks[np.flatnonzero(masks.areas > 150)]
        assert len(masks) > 2
        sample = DetDataSample(metainfo=dict(img_shape=size, ori_shape=size))
        sample.gt_instances = InstanceData(
            bboxes=HorizontalBoxes(masks.get_bboxes('hbox').tensor),
            labels=torch.from_numpy(rng.integers(0, 5, len(masks))),
            masks=kind(masks),
        )
        sample.ignored_instances = InstanceData(
            bboxes=HorizontalBoxes(np.zeros((0, 4), np.float32)),
            labels=torch.zeros(0, dtype=torch.long),
            masks=kind(masks[:0]),
        )
        seg = torch.from_numpy(rng.integers(0, 40, (1, *size)))
        sample.gt_sem_seg = PixelData(sem_seg=seg)
        samples.append(sample)
        pixels = rng.integers(0, 256, (3, *size), dtype=np.uint8)
        images.append(torch.from_numpy(pixels))
    return dict(inputs=images, data_samples=samples)


def losses(model, kind, sizes):
    """Losses of one training step, from the same random state."""
    model = copy.deepcopy(model)
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    data = model.data_preprocessor(batch(kind, sizes), training=True)
    found = model(**data, mode='loss')
    return {
        key: torch.as_tensor(
            sum(value) if isinstance(value, list) else value
        ).detach()
        for key, value in found.items()
    }


def plain(masks):
    return masks


def mirrored(masks):
    return masks.flip()


@pytest.mark.parametrize('name', MODEL_CONFIGS, ids=lambda n: n.split('/')[0])
def test_losses_equal_those_of_bitmap_masks(name):
    model = build(name)
    sizes = SIZES[:1] * 2 if name.startswith(EQUAL_SIZES) else SIZES
    theirs, ours, wrong = (
        losses(model, kind, sizes)
        for kind in (plain, CroppedBitmapMasks.from_bitmap_masks, mirrored)
    )
    assert ours.keys() == theirs.keys()
    for key, loss in theirs.items():
        assert torch.allclose(ours[key], loss, rtol=1e-6, atol=0), key
    changed = {k for k, v in theirs.items() if not torch.equal(v, wrong[k])}
    assert any('mask' in key or 'point' in key for key in changed)
