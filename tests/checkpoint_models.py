"""Models that checkpoints are loaded into, and how they refuse one."""

import pytest
import torch
from checkpoint_layouts import (
    fcn_config,
    random_resnet,
    resnet_config,
    under,
)
from mmengine.registry import DefaultScope

from mmcp.checkpoints import MismatchError, load_weights
from mmcp.registry import MODELS


def build(config):
    """Builds in MMSegmentation's scope; nothing is initialised."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        return MODELS.build(config)


def encoder_decoder(backbone=None, head=None, neck=None, **options):
    """A segmentor; ``options`` are those of an FCN head."""
    return build(
        dict(
            type='EncoderDecoder',
            backbone=backbone or resnet_config(),
            neck=neck,
            decode_head=head or fcn_config(**options),
            test_cfg=dict(mode='whole'),
        )
    )


def fpn_config(**options):
    """MMDetection's pyramid on ``random_resnet``."""
    return (
        dict(
            type='mmdet.FPN',
            in_channels=[4, 8, 16, 32],
            out_channels=8,
            num_outs=5,
            norm_cfg=dict(type='BN'),
        )
        | options
    )


def detector_file(**neck):
    """What a checkpoint of a detector with a random pyramid holds."""
    pyramid = build(fpn_config(**neck))
    generator = torch.Generator().manual_seed(5)
    for parameter in pyramid.parameters():
        parameter.data.normal_(generator=generator)
    state = under('backbone.', random_resnet())
    state |= under('neck.', pyramid.state_dict())
    state['rpn_head.rpn_conv.weight'] = torch.ones(8, 8, 3, 3)
    state['roi_head.bbox_head.fc_cls.bias'] = torch.ones(81)
    return dict(meta={}, state_dict=state)


def refusal(model, weights, part='backbone'):
    """The message of a refusal, after which the model is as it was."""
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(MismatchError) as caught:
        load_weights(model, weights, part)
    after = model.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)
    return str(caught.value)
