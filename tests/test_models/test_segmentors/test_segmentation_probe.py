"""Training the last layer of a segmentor alone."""

import copy

import pytest
import torch
from cp2_models import fcn, resnet
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmcp.registry import MODELS


def probe(**options):
    config = dict(
        type='mmcp.SegmentationProbe',
        data_preprocessor=dict(
            type='SegDataPreProcessor', size=(32, 32), seg_pad_val=255
        ),
        backbone=resnet(),
        decode_head=fcn(),
        test_cfg=dict(mode='whole'),
    )
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmseg'):
        return MODELS.build(config | options)


def batch():
    generator = torch.Generator().manual_seed(0)
    images, samples = [], []
    for _ in range(2):
        shape = (3, 32, 32)
        images.append(torch.randint(0, 256, shape, generator=generator).byte())
        labels = torch.randint(0, 21, (1, 32, 32), generator=generator)
        sample = SegDataSample(metainfo=dict(img_shape=(32, 32)))
        sample.gt_sem_seg = PixelData(data=labels)
        samples.append(sample)
    return dict(inputs=images, data_samples=samples)


def train(model):
    wrapper = OptimWrapper(
        torch.optim.SGD(model.parameters(), 0.1, weight_decay=0.1)
    )
    before = copy.deepcopy(model.state_dict())
    for _ in range(2):
        model.train()
        losses = model.train_step(batch(), wrapper)
    assert losses['loss'].isfinite()
    after = model.state_dict()
    return [k for k, v in after.items() if not torch.equal(v, before[k])]


def test_only_the_last_layer_changes():
    model = probe()
    last = [f'decode_head.conv_seg.{x}' for x in ('weight', 'bias')]
    assert model.trained_names == last
    assert train(model) == last


def test_a_head_on_a_frozen_backbone():
    model = probe(trained=['decode_head.*'])
    changed = train(model)
    assert changed
    assert all(name.startswith('decode_head.') for name in changed)
    assert 'decode_head.convs.0.bn.running_mean' in changed
    assert model.decode_head.dropout.training
    assert not model.backbone.training


def test_a_misspelt_layer_is_refused():
    with pytest.raises(ValueError, match="'decode_head.cls.*' matches none"):
        probe(trained=['decode_head.cls.*'])
