import pytest
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


TRANSFORMER = dict(
    type='mmseg.VisionTransformer',
    img_size=8,
    patch_size=4,
    embed_dims=4,
    num_heads=1,
    num_layers=1,
)


@pytest.mark.parametrize(
    'backbone', [TRANSFORMER, dict(type='mmdet.EfficientNet')]
)
def test_models_that_look_at_values_are_built(backbone):
    head = dict(type='mmseg.FCNHead', in_channels=4, channels=4, num_classes=2)
    segmentor = dict(
        type='mmseg.EncoderDecoder', backbone=backbone, decode_head=head
    )
    whole = Config(dict(model=segmentor, default_scope='mmseg'))
    before = whole.model.to_dict()

    model = build_on_meta(whole)

    assert isinstance(model.backbone.layers, nn.ModuleList)
    assert {p.device.type for p in model.parameters()} == {'meta'}
    assert whole.model.to_dict() == before


def test_a_wrong_model_is_told_as_ever():
    with pytest.raises(TypeError, match='no_such_argument'):
        build_on_meta(config(no_such_argument=1))
