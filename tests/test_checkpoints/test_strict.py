"""Tests of loading all of a part or nothing, and of what is said."""

import pytest
import torch
from checkpoint_layouts import (
    dino_backbone,
    fcn_config,
    mmcp_cp2,
    mmcp_moco,
    moco_v2,
    moco_v3,
    random_resnet,
    resnet_config,
    segmentor,
    torchvision,
    under,
    vit,
    vit_config,
)
from cp2_models import cp2, resnet
from mmengine.registry import DefaultScope
from torch import nn

from mmcp.checkpoints import MismatchError, load_weights, sort_weights
from mmcp.checkpoints.causes import likely_causes
from mmcp.checkpoints.comparison import compare
from mmcp.checkpoints.strict import find_parts, parse_part
from mmcp.registry import MODELS


def build(config):
    with DefaultScope.overwrite_default_scope('mmseg'):
        return MODELS.build(config)


def encoder_decoder(backbone=None, **head):
    return build(
        dict(
            type='EncoderDecoder',
            backbone=backbone or resnet_config(),
            decode_head=fcn_config(**head),
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


def test_backbone_and_head_of_a_segmentor():
    weights = sort_weights(mmcp_cp2(random_resnet()), 'cp2.pth')
    model = encoder_decoder()
    classifier = model.decode_head.conv_seg.weight.clone()
    tracked = model.decode_head.convs[0].bn.num_batches_tracked.clone()
    report = load_weights(model, weights, 'backbone+head')

    state = model.state_dict()
    for name, value in weights.backbone.items():
        assert torch.equal(state[f'backbone.{name}'], value)
    for name, value in weights.head.items():
        assert torch.equal(state[f'decode_head.{name}'], value)
    assert torch.equal(model.decode_head.conv_seg.weight, classifier)
    assert model.decode_head.convs[0].bn.num_batches_tracked == tracked
    assert report.fresh == ('conv_seg.weight', 'conv_seg.bias')
    count = len(weights.backbone)
    assert str(report) == (
        f'Loaded backbone {count} of {count} tensors (100 %), head 5 of 5 '
        'tensors (100 %) from cp2.pth, training checkpoint of mmcp.CP2. Left '
        'as initialised: conv_seg.weight, conv_seg.bias. Not used: '
        f'{count + 5 + 4} (momentum encoder), 3 (queue), 1 (not of the parts '
        'that are used), 4 (projector).'
    )


def test_the_projector_too():
    model = cp2(backbone=resnet(stem_channels=8))
    weights = sort_weights(
        mmcp_cp2(random_resnet(), 'encoder_q.projector.'), 'cp2.pth'
    )
    load_weights(model, weights, 'backbone+head+projector')
    projector = model.encoder_q.projector.state_dict()
    assert set(projector) == set(weights.projector)
    for name, value in weights.projector.items():
        assert torch.equal(projector[name], value)


def test_parts_of_models():
    model = encoder_decoder()
    assert find_parts(model) == dict(
        backbone=model.backbone, head=model.decode_head
    )
    assert find_parts(model.backbone) == dict(backbone=model.backbone)
    encoder = cp2().encoder_q
    assert list(find_parts(encoder)) == [
        'backbone',
        'neck',
        'head',
        'projector',
    ]


def test_names_of_parts():
    assert parse_part('head+backbone') == ('backbone', 'head')
    for part in ('', 'neck', 'backbone+', 'backbone,head'):
        with pytest.raises(ValueError, match='part must be'):
            parse_part(part)


def test_a_model_without_the_part():
    weights = sort_weights(mmcp_cp2(random_resnet()), 'x')
    model = build(resnet_config())
    with pytest.raises(MismatchError, match='ResNet has no head to load'):
        load_weights(model, weights, 'backbone+head')


def test_a_file_without_the_part():
    weights = sort_weights(mmcp_moco(random_resnet()), 'x')
    message = refusal(encoder_decoder(), weights, 'backbone+head')
    assert 'holds no head, only: backbone, projector' in message
    assert message.endswith("Load part='backbone' alone.")


CAUSES = {
    'deep stem': (
        dict(type='mmseg.ResNetV1c'),
        "one 7x7 convolution, the model's three 3x3 convolutions (DenseCL "
        "issue 3); use type='ResNet' with deep_stem=False",
    ),
    'depth': (dict(depth=34), '(ResNet-34); set depth=18'),
    'bottleneck': (dict(depth=50), '(ResNet-50); set depth=18'),
    'width': (
        dict(base_channels=8),
        'layer1.0.conv1.weight has 4 channels in the file and 8 in the model',
    ),
    'stem width': (
        dict(stem_channels=16),
        'conv1.weight has 8 channels in the file and 16 in the model',
    ),
    'norm': (
        dict(norm_cfg=dict(type='GN', num_groups=2)),
        'was trained with batch normalisation (it has running statistics)',
    ),
}


@pytest.mark.parametrize(('options', 'cause'), CAUSES.values(), ids=CAUSES)
def test_likely_causes(options, cause):
    weights = sort_weights(moco_v2(random_resnet()), 'moco.pth')
    message = refusal(build(resnet_config(**options)), weights)
    first, *_, last = message.split('\n')
    assert first.startswith('moco.pth, read as MoCo v1 or v2')
    assert 'nothing was loaded' in first
    assert last.startswith('Likely cause: ')
    assert cause in last


def test_every_kind_of_problem_is_listed():
    backbone = random_resnet()
    del backbone['layer1.0.conv1.weight']
    backbone['layer2.0.extra.weight'] = torch.ones(1)
    backbone['layer3.1.bn2.bias'] = torch.ones(3)
    message = refusal(
        build(resnet_config()), sort_weights(torchvision(backbone), 'x')
    )
    lines = message.split('\n')
    assert lines[1:] == [
        '  backbone: 1 missing in the file: layer1.0.conv1.weight',
        '  backbone: 1 not in the model: layer2.0.extra.weight',
        '  backbone: 1 of another shape: layer3.1.bn2.bias ((3,) in the file, '
        '(16,) in the model)',
    ]


def test_the_other_stem_the_other_way():
    deep = build(resnet_config(type='mmseg.ResNetV1c')).state_dict()
    message = refusal(build(resnet_config()), sort_weights(deep, 'x'))
    assert "use type='ResNetV1c' or deep_stem=True" in message


def test_a_transformer_for_a_convolutional_model():
    message = refusal(build(resnet_config()), sort_weights(vit(), 'x'))
    assert "is a vision transformer, the model's a ResNet" in message


VIT_CAUSES = {
    'channels': (dict(embed_dims=192), 'set embed_dims=384'),
    'patch': (dict(patch_size=6), 'set patch_size=4'),
    'bias': (dict(patch_bias=False), 'set patch_bias=True'),
    'layers': (dict(num_layers=2), 'set num_layers=1'),
    'family': (resnet_config(), 'a vision transformer'),
}


@pytest.mark.parametrize(
    ('options', 'cause'), VIT_CAUSES.values(), ids=VIT_CAUSES
)
def test_likely_causes_of_transformers(options, cause):
    weights = sort_weights(dino_backbone(vit()), 'dino.pth')
    config = options if 'type' in options else vit_config(**options)
    assert cause in refusal(build(config), weights)


def test_final_norm():
    with_norm = sort_weights(vit(), 'x')
    report = load_weights(build(vit_config(final_norm=False)), with_norm)
    assert report.comparisons[0].unused == ('ln1.weight', 'ln1.bias')
    assert 'Not used: 2 (not built in the model).' in str(report)

    without = sort_weights(vit(norm=False), 'x')
    message = refusal(build(vit_config()), without)
    assert 'set final_norm=False' in message


@pytest.mark.parametrize(
    ('make', 'sine', 'heads', 'model_heads'),
    [(dino_backbone, False, 6, 12), (moco_v3, True, 12, 6)],
)
def test_wrong_number_of_heads(make, sine, heads, model_heads):
    content = make(vit(sine=sine))
    model = build(vit_config(model_heads))
    message = refusal(model, sort_weights(content, 'vit.pth'))
    assert f'a transformer with {heads} attention heads' in message
    assert f'but the model has {model_heads}' in message
    assert f'Set num_heads={heads} in the backbone' in message

    told = sort_weights(content, 'x', num_heads=model_heads)
    assert '(100 %)' in str(load_weights(model, told))
    load_weights(build(vit_config(heads)), sort_weights(content, 'x'))


@pytest.mark.parametrize('size', [24, (16, 24)])
def test_positions_are_resized(size):
    weights = sort_weights(vit(), 'x')
    model = build(vit_config(img_size=size))
    report = load_weights(model, weights)
    grid = (6, 6) if size == 24 else (4, 6)
    assert report.resized == f'3x3 to {grid[0]}x{grid[1]}'
    theirs = model.resize_pos_embed(
        weights.backbone['pos_embed'], grid, (3, 3), 'bicubic'
    )
    torch.testing.assert_close(model.pos_embed.data, theirs)
    assert weights.backbone['pos_embed'].shape[1] == 10


def test_positions_of_no_grid_are_not_resized():
    state = vit()
    state['pos_embed'] = torch.zeros(1, 11, 384)
    message = refusal(build(vit_config()), sort_weights(state, 'x'))
    assert 'pos_embed ((1, 11, 384) in the file' in message


def test_stages_that_were_not_built():
    model = build(
        resnet_config(
            num_stages=3,
            strides=(1, 2, 2),
            dilations=(1, 1, 1),
            out_indices=(2,),
        )
    )
    report = load_weights(
        model, sort_weights(torchvision(random_resnet()), 'x')
    )
    unused = report.comparisons[0].unused
    assert unused
    assert all(name.startswith('layer4.') for name in unused)
    assert report.comparisons[0].matched == len(model.state_dict())


def test_mobilenet_without_its_last_layer():
    """ImageNet's file has a layer that MMSegmentation's backbone lacks."""
    config = dict(type='mmseg.MobileNetV2', widen_factor=0.1)
    state = build(config).state_dict()
    tail = {'conv2.conv.weight': torch.ones(1), 'conv2.bn.bias': torch.ones(1)}
    for prefix in ('', 'backbone.'):
        content = dict(state_dict=under(prefix, state | tail))
        model = build(config)
        report = load_weights(model, sort_weights(content, 'x'))
        assert report.comparisons[0].unused == tuple(tail)
        loaded = model.state_dict()
        assert all(torch.equal(loaded[name], state[name]) for name in state)


def test_mobilenet_of_the_other_library():
    options = dict(widen_factor=0.1)
    file = build(dict(type='mmseg.MobileNetV2', **options)).state_dict()
    model = build(dict(type='mmdet.MobileNetV2', **options))
    message = refusal(model, sort_weights(file, 'x'))
    assert 'have the names of MMSegmentation in the file' in message
    assert message.endswith('take the file for MMDetection.')


def test_a_head_of_another_kind():
    weights = sort_weights(segmentor(random_resnet()), 'x')
    aspp = dict(
        type='ASPPHead',
        in_channels=32,
        in_index=3,
        channels=8,
        dilations=(1, 2),
        num_classes=5,
        norm_cfg=dict(type='BN'),
    )
    model = build(
        dict(
            type='EncoderDecoder',
            backbone=resnet_config(),
            decode_head=aspp,
            test_cfg=dict(mode='whole'),
        )
    )
    message = refusal(model, weights, 'backbone+head')
    assert "decode head is an FCNHead, the model's an ASPPHead" in message
    assert "or load part='backbone'" in message
    load_weights(model, weights)


HEADS = {
    'channels': (dict(channels=16), 'make channels and in_channels'),
    'layers': (dict(num_convs=2), 'make dilations or num_convs'),
    'concat': (dict(concat_input=True), 'concat_input=True'),
    'norm': (dict(norm_cfg=dict(type='GN', num_groups=2)), 'change norm_cfg'),
}


@pytest.mark.parametrize(('head', 'cause'), HEADS.values(), ids=HEADS)
def test_a_head_of_another_shape(head, cause):
    weights = sort_weights(mmcp_cp2(random_resnet()), 'x')
    message = refusal(encoder_decoder(**head), weights, 'backbone+head')
    assert 'Likely cause: ' in message
    assert cause in message


def test_no_cause_for_what_fits():
    state = random_resnet()
    assert likely_causes(compare('backbone', state, state)) == []


def test_a_module_of_one_tensor():
    model = nn.Linear(2, 1)
    weights = sort_weights(random_resnet(), 'x')
    message = refusal(model, weights)
    assert '0 of 2 of the backbone' in message
    assert "is a ResNet, the model's a network of bias, weight" in message
