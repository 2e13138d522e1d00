"""Tests of what is said about the cause of a mismatch."""

import pytest
import torch
from checkpoint_layouts import (
    dino_backbone,
    mmcp_cp2,
    moco_v2,
    random_resnet,
    resnet_config,
    segmentor,
    under,
    vit,
    vit_config,
)
from checkpoint_models import (
    build,
    detector_file,
    encoder_decoder,
    fpn_config,
    refusal,
)
from torch import nn

from mmcp.checkpoints import load_weights, sort_weights
from mmcp.checkpoints.causes import likely_causes
from mmcp.checkpoints.comparison import compare

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


CUT = {
    'within a block': ('layer4.1.bn', 'resnet', 8),
    'within a stage': ('layer4.1.', 'resnet', 10),
    'between stages': ('layer4.', 'resnet', 25),
    'in the middle': ('layer2.', 'resnet', 25),
    'one tensor': ('layer1.0.bn1.running_mean', 'resnet', 1),
    'layers and norm': (('layers.1.', 'ln1.'), 'transformer', 14),
    'within a layer': (('layers.1.ffn.', 'ln1.'), 'transformer', 6),
    'one bias': ('layers.0.ln1.bias', 'transformer', 1),
    'half of a norm': ('ln1.bias', 'transformer', 1),
}
MODELS = {
    'resnet': resnet_config(),
    'transformer': vit_config(num_layers=2),
}


@pytest.mark.parametrize(('start', 'kind', 'count'), CUT.values(), ids=CUT)
def test_a_file_that_lacks_a_part(start, kind, count):
    model = build(MODELS[kind])
    state = model.state_dict()
    total = sum(not n.endswith('num_batches_tracked') for n in state)
    held = {
        name: value
        for name, value in state.items()
        if not name.startswith(start)
        and not name.endswith('num_batches_tracked')
    }
    message = refusal(model, sort_weights(held, 'x'))
    assert message.split('\n')[-1] == (
        f'Likely cause: the file is incomplete: {count} of the {total} '
        'tensors are not in it, and all others fit. It was cut short, or '
        'saved from a part of a model; take the whole file.'
    )


@pytest.mark.parametrize('depth', [18, 50])
def test_a_whole_file_of_less_blocks_is_not_incomplete(depth):
    deeper = {18: 34, 50: 101}[depth]
    options = dict(stem_channels=2, base_channels=2)
    file = build(resnet_config(depth=depth, **options)).state_dict()
    model = build(resnet_config(depth=deeper, **options))
    message = refusal(model, sort_weights(file, 'x'))
    assert message.endswith(f'(ResNet-{deeper}); set depth={depth}.')


@pytest.mark.parametrize('start', ['convs.0.bn.', 'convs.0.bn.bias'])
def test_a_head_that_lacks_a_part(start):
    content = mmcp_cp2(random_resnet())
    name = f'encoder_q.decode_head.{start}'
    for key in list(content['state_dict']):
        if key.startswith(name):
            del content['state_dict'][key]
    weights = sort_weights(content, 'x')
    message = refusal(encoder_decoder(), weights, 'backbone+head')
    assert 'Likely cause: the file is incomplete: ' in message


def test_an_aspp_head_that_lacks_a_part():
    aspp = dict(
        type='ASPPHead',
        in_channels=32,
        in_index=3,
        channels=8,
        dilations=(1, 2),
        num_classes=5,
        norm_cfg=dict(type='BN'),
    )
    model = encoder_decoder(head=aspp)
    state = {
        name: value
        for name, value in model.state_dict().items()
        if 'image_pool' not in name
    }
    message = refusal(model, sort_weights(state, 'x'), 'backbone+head')
    assert 'Likely cause: the file is incomplete: 5 of the ' in message


def test_a_backbone_deeper_than_its_prefix():
    state = under('backbone.body.', random_resnet())
    model = build(resnet_config())
    message = refusal(model, sort_weights(dict(model=state), 'detr.pth'))
    assert message.endswith(
        "go on with 'body.'; give as prefix=... all that they begin with, up "
        "to this 'body.'."
    )
    assert 'type of the backbone' not in message
    told = sort_weights(dict(model=state), 'x', prefix='backbone.body.')
    assert '(100 %)' in str(load_weights(model, told))


def test_what_a_pretraining_adds_to_a_transformer():
    """The norm of pooled features is no final norm, which is then absent."""
    state = vit(norm=False) | {'mask_token': torch.zeros(1, 1, 384)}
    state |= {
        f'fc_norm.{kind}': torch.ones(384) for kind in ('weight', 'bias')
    }
    weights = sort_weights(state, 'x')
    assert set(weights.dropped) == set(state) - set(vit())
    message = refusal(build(vit_config()), weights)
    assert 'set final_norm=False' in message
    assert load_weights(build(vit_config(final_norm=False)), weights)


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
    model = encoder_decoder(head=aspp)
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


NECKS = {
    'norm': (dict(norm_cfg=None), 'change norm_cfg'),
    'width': (
        dict(out_channels=4),
        'lateral_convs.0.conv.weight is (8, 4, 1, 1) in the file and '
        '(4, 4, 1, 1) in the model; make in_channels and out_channels',
    ),
    'levels': (
        dict(add_extra_convs='on_input', num_outs=6),
        "the neck's levels or repetitions differ; make num_outs",
    ),
    'kind': (
        dict(type='mmseg.MLANeck', out_channels=8, norm_cfg=dict(type='BN')),
        "the file's neck is an FPN, the model's one of mla",
    ),
}


@pytest.mark.parametrize(('options', 'cause'), NECKS.values(), ids=NECKS)
def test_a_neck_of_another_shape(options, cause):
    weights = sort_weights(detector_file(), 'x')
    neck = fpn_config(**options)
    if 'type' in options:
        del neck['num_outs']
    model = encoder_decoder(neck=neck, in_channels=8)
    assert cause in refusal(model, weights, 'backbone+neck')
    load_weights(model, weights)


def test_no_cause_for_what_fits():
    state = random_resnet()
    assert likely_causes(compare('backbone', state, state)) == []


def test_a_module_of_one_tensor():
    model = nn.Linear(2, 1)
    weights = sort_weights(random_resnet(), 'x')
    message = refusal(model, weights)
    assert '0 of 2 of the backbone' in message
    assert "is a ResNet, the model's a network of bias, weight" in message
