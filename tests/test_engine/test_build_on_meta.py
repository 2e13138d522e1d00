from mmcv.ops import SyncBatchNorm
from mmengine.config import Config
from tiny_detectors import config_of
from torch import distributed, nn

from mmcp.engine.build_on_meta import build_on_meta


def config(**backbone):
    model = config_of('mask')
    model.type = 'mmdet.MaskRCNN'
    model.backbone.update(backbone)
    model.roi_head.mask_head.norm_cfg = dict(type='MMSyncBN')
    return Config(dict(model=model, default_scope='mmdet'))


def test_nothing_has_memory():
    model = build_on_meta(config())

    tensors = [*model.parameters(), *model.buffers()]
    assert {tensor.device.type for tensor in tensors} == {'meta'}


def test_synchronised_norms_are_built_and_no_process_group_stays():
    norm = build_on_meta(config()).roi_head.mask_head.convs[0].bn

    assert isinstance(norm, SyncBatchNorm)
    assert not distributed.is_initialized()


def test_a_transformer_is_built():
    backbone = dict(
        type='mmseg.VisionTransformer',
        img_size=8,
        patch_size=4,
        embed_dims=4,
        num_heads=1,
        num_layers=1,
    )
    segmentor = dict(
        type='mmseg.EncoderDecoder',
        backbone=backbone,
        decode_head=dict(
            type='mmseg.FCNHead', in_channels=4, channels=4, num_classes=2
        ),
    )

    model = build_on_meta(Config(dict(model=segmentor, default_scope='mmseg')))

    assert isinstance(model.backbone.layers, nn.ModuleList)
    assert {p.device.type for p in model.parameters()} == {'meta'}
