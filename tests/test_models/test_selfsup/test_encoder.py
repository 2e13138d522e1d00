import warnings

import pytest
import torch
from cp2_models import GN, aspp, cp2, fcn, moco, resnet
from mmengine.registry import DefaultScope, init_default_scope
from mmseg.registry import MODELS as MMSEG_MODELS

from mmcp.models.selfsup import SegmentationEncoder
from mmcp.models.selfsup.encoder import ImageEncoder

# ResNet-18 with 4 channels gives maps of these.
PYRAMID = [4, 8, 16, 32]
VIT = dict(
    type='VisionTransformer',
    img_size=32,
    patch_size=8,
    embed_dims=16,
    num_layers=4,
    num_heads=2,
    out_indices=(0, 1, 2, 3),
)
HEADS = {
    'fcn': fcn(),
    'fcn-concat': fcn(concat_input=True),
    'aspp': aspp(),
    'sep-aspp': aspp(
        type='DepthwiseSeparableASPPHead', c1_in_channels=4, c1_channels=4
    ),
    'psp': dict(
        type='PSPHead', in_channels=32, in_index=3, channels=8,
        pool_scales=(1, 2), norm_cfg=dict(type='BN'), num_classes=5,
    ),
    'uper': dict(
        type='UPerHead', in_channels=PYRAMID, in_index=[0, 1, 2, 3],
        channels=8, pool_scales=(1, 2), norm_cfg=dict(type='BN'),
    ),
    'segformer': dict(
        type='SegformerHead', in_channels=PYRAMID, in_index=[0, 1, 2, 3],
        channels=8, norm_cfg=dict(type='BN'),
    ),
    'fpn': dict(
        type='FPNHead', in_channels=PYRAMID, in_index=[0, 1, 2, 3],
        feature_strides=[4, 8, 8, 8], channels=8, norm_cfg=dict(type='BN'),
    ),
    'setr-up': dict(
        type='SETRUPHead', in_channels=32, in_index=3, channels=8,
        num_convs=1, norm_cfg=dict(type='BN'),
    ),
}  # fmt: skip


def make(**options):
    """An encoder in MMSegmentation's scope."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        return SegmentationEncoder(
            **(dict(backbone=resnet(), decode_head=fcn()) | options)
        )


@pytest.mark.parametrize('head', HEADS)
def test_any_head_that_ends_in_its_classifier(head):
    """Its features before the classifier are projected; none is dead."""
    encoder = make(
        decode_head=HEADS[head], projector=dict(out_channels=6)
    ).train()
    images = torch.randn(2, 3, 32, 32)
    maps = encoder(images)
    assert maps.shape[:2] == (2, 6)
    maps.square().mean().backward()
    dead = [n for n, p in encoder.named_parameters() if p.grad is None]
    assert not dead
    encoder.eval()
    decode_head = encoder.decode_head
    if type(decode_head).__name__ in ('FCNHead', 'ASPPHead', 'PSPHead'):
        features = decode_head._forward_feature(encoder.backbone(images))
        assert torch.equal(encoder(images), encoder.projector(features))


@pytest.mark.parametrize('head', HEADS)
def test_names_are_those_of_a_segmentor_without_classifier(head):
    init_default_scope('mmseg')
    config = {'num_classes': 7} | HEADS[head]
    segmentor = MMSEG_MODELS.build(
        dict(
            type='mmseg.EncoderDecoder',
            backbone=resnet(),
            decode_head=config,
            test_cfg=dict(mode='whole'),
        )
    )
    expected = {
        name: value.shape
        for name, value in segmentor.state_dict().items()
        if 'conv_seg' not in name
    }
    found = {
        name: value.shape
        for name, value in make(decode_head=config).state_dict().items()
        if not name.startswith('projector.')
    }
    assert found == expected


def test_a_vision_transformer_with_uper_head_and_neck():
    encoder = make(
        backbone=VIT,
        neck=dict(
            type='MultiLevelNeck', in_channels=[16] * 4, out_channels=8,
            scales=[4, 2, 1, 0.5],
        ),
        decode_head=HEADS['uper'] | dict(in_channels=[8] * 4),
    )  # fmt: skip
    maps = encoder(torch.randn(2, 3, 32, 32))
    assert maps.shape == (2, 128, 16, 16)
    assert any(n.startswith('neck.') for n in encoder.state_dict())


def test_the_projector_is_as_released():
    encoder = make(decode_head=fcn(channels=12))
    shapes = {
        n: tuple(p.shape) for n, p in encoder.projector.named_parameters()
    }
    assert shapes == {
        'hidden.weight': (12, 12, 1, 1),
        'hidden.bias': (12,),
        'output.weight': (128, 12, 1, 1),
        'output.bias': (128,),
    }
    assert encoder.out_channels == 128


def test_a_head_without_number_of_classes_does_not_warn():
    config = fcn()
    del config['num_classes']
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        make(decode_head=config)
    texts = [str(warning.message) for warning in caught]
    assert not [text for text in texts if 'binary' in text or 'thres' in text]


def test_dropout_is_gone():
    encoder = make(decode_head=fcn(GN, dropout_ratio=0.9), backbone=resnet(GN))
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(encoder(images), encoder(images))


@pytest.mark.parametrize(
    ('head', 'message'),
    [
        (
            dict(
                type='OCRHead', in_channels=32, channels=8, ocr_channels=8,
                num_classes=3,
            ),
            "OCRHead cannot be pretrained: it needs another head's result",
        ),
        (
            dict(
                type='SegmenterMaskTransformerHead', in_channels=32,
                channels=8, num_layers=1, num_heads=1, embed_dims=8,
            ),
            'no classifier conv_seg',
        ),
    ],
)  # fmt: skip
def test_heads_that_cannot_be_used(head, message):
    with pytest.raises(ValueError, match=message):
        make(decode_head=head)


def test_a_head_of_several_maps_is_refused():
    head = dict(
        type='DAHead', in_channels=32, in_index=3, channels=8, pam_channels=4,
    )  # fmt: skip
    with pytest.raises(TypeError, match='DAHead gives 3 maps'):
        make(decode_head=head)(torch.randn(2, 3, 32, 32))


def test_the_image_encoder_projects_the_pooled_last_map():
    with DefaultScope.overwrite_default_scope('mmseg'):
        encoder = ImageEncoder(resnet(), dict(in_channels=32))
    encoder.eval()
    images = torch.randn(2, 3, 32, 32)
    pooled = encoder.backbone(images)[3].mean(dim=(2, 3))
    hidden = encoder.projector.hidden.weight[..., 0, 0]
    output = encoder.projector.output.weight[..., 0, 0]
    result = (pooled @ hidden.T + encoder.projector.hidden.bias).relu()
    result = result @ output.T + encoder.projector.output.bias
    torch.testing.assert_close(encoder(images)[..., 0, 0], result)
    with pytest.raises(ValueError, match="needs 'in_channels'"):
        ImageEncoder(resnet(), {})


def saved_bytes(encoder, images):
    """Bytes that the forward pass keeps for the backward pass."""
    kept = {}

    def keep(tensor):
        kept[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        result = encoder(images)
    return result, sum(kept.values())


@pytest.mark.parametrize('kind', ['segmentation', 'image'])
@pytest.mark.parametrize(
    'options',
    [dict(checkpoint_activations=True), dict(backbone=resnet(with_cp=True))],
)
def test_recomputed_activations_change_nothing_but_memory(kind, options):
    make_model = {'segmentation': cp2, 'image': moco}[kind]
    plain, thrifty = make_model(), make_model(**options)
    images = torch.randn(4, 3, 32, 32)
    results = []
    for model in (plain, thrifty):
        encoder = model.encoder_q.train()
        result, kept = saved_bytes(encoder, images)
        result.square().mean().backward()
        gradients = [p.grad for p in encoder.parameters()]
        results.append((result.detach(), gradients, kept))
    torch.testing.assert_close(results[0][:2], results[1][:2])
    assert results[1][2] < 0.8 * results[0][2]
