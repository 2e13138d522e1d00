"""Models that checkpoints are loaded into, and how they refuse one."""

import pytest
import torch
from checkpoint_layouts import fcn_config, resnet_config
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


def refusal(model, weights, part='backbone'):
    """The message of a refusal, after which the model is as it was."""
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(MismatchError) as caught:
        load_weights(model, weights, part)
    after = model.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)
    return str(caught.value)
