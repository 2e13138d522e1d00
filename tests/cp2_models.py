"""Small pretraining models and batches for them."""

import torch
from mmengine.registry import DefaultScope

from mmcp.registry import MODELS

BN = dict(type='BN')
GN = dict(type='GN', num_groups=2)


def resnet(norm_cfg=BN, **options):
    """A narrow ResNet-18 of output stride 16, as CP2 has it."""
    return (
        dict(
            type='ResNet',
            depth=18,
            base_channels=4,
            strides=(1, 2, 2, 1),
            dilations=(1, 1, 1, 2),
            contract_dilation=True,
            norm_cfg=norm_cfg,
        )
        | options
    )


def shallow(norm_cfg=BN, head=None, **options):
    """Backbone and head of two stages, for what takes long to compile."""
    backbone = resnet(
        norm_cfg,
        num_stages=2,
        strides=(1, 2),
        dilations=(1, 1),
        out_indices=(0, 1),
        contract_dilation=False,
    )
    decode_head = (head or fcn)(norm_cfg, in_channels=8, in_index=1)
    return dict(backbone=backbone, decode_head=decode_head) | options


def fcn(norm_cfg=BN, **options):
    return (
        dict(
            type='FCNHead',
            in_channels=32,
            in_index=3,
            channels=8,
            num_convs=1,
            concat_input=False,
            norm_cfg=norm_cfg,
            num_classes=21,
        )
        | options
    )


def aspp(norm_cfg=BN, **options):
    return (
        dict(
            type='ASPPHead',
            in_channels=32,
            in_index=3,
            channels=8,
            dilations=(1, 2),
            norm_cfg=norm_cfg,
        )
        | options
    )


def build(config):
    """Builds as the runner does: in MMSegmentation's scope, initialised."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(config)
    model.init_weights()
    return model


def cp2(seed=0, norm_cfg=BN, **options):
    """An initialised CP2 of few channels."""
    torch.manual_seed(seed)
    config = dict(
        type='mmcp.CP2',
        backbone=resnet(norm_cfg),
        decode_head=fcn(norm_cfg),
        projector=dict(out_channels=8),
        queue_len=12,
    )
    return build(config | options)


def moco(seed=0, norm_cfg=BN, **options):
    torch.manual_seed(seed)
    config = dict(
        type='mmcp.MoCo',
        backbone=resnet(norm_cfg),
        projector=dict(in_channels=32, out_channels=8),
        queue_len=12,
    )
    return build(config | options)


def batch(count=4, size=32, seed=0):
    """``inputs`` and ``masks`` as the data preprocessor gives them."""
    generator = torch.Generator().manual_seed(seed)

    def image():
        return torch.randn(count, 3, size, size, generator=generator)

    masks = torch.zeros(2, count, size, size, dtype=torch.bool)
    masks[0, :, : size // 2] = True
    masks[1, :, :, size // 2 :] = True
    return dict(
        inputs=dict(query=image(), key=image()),
        masks=dict(query=masks[0], key=masks[1]),
    )


def total(losses):
    return sum(value for name, value in losses.items() if 'loss' in name)
