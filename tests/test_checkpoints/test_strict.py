"""Tests of loading all of a part or nothing, and of what is said."""

import pytest
import torch
from checkpoint_layouts import (
    dino_backbone,
    infomin,
    mmcp_cp2,
    mmcp_moco,
    moco_v2,
    moco_v3,
    pixpro,
    random_resnet,
    resnet_config,
    torchvision,
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
from cp2_models import cp2, resnet

from mmcp.checkpoints import (
    CheckpointError,
    load_weights,
    sort_weights,
)
from mmcp.checkpoints.strict import find_parts, parse_part


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


def test_the_neck_goes_with_the_head():
    neck = dict(
        type='mmseg.FPN',
        in_channels=[4, 8, 16, 32],
        out_channels=32,
        num_outs=4,
    )
    model = encoder_decoder(neck=neck)
    theirs = {name: v + 1 for name, v in model.neck.state_dict().items()}
    content = mmcp_cp2(random_resnet())
    without = sort_weights(content, 'x')
    content['state_dict'] |= under('encoder_q.neck.', theirs)
    weights = sort_weights(content, 'x')

    assert 'holds no neck' in refusal(model, without, 'backbone+head')
    said = refusal(encoder_decoder(), weights, 'backbone+head')
    assert 'has a neck between backbone and head, but EncoderDecoder' in said
    load_weights(encoder_decoder(), weights)
    load_weights(model, weights)
    assert not any(
        torch.equal(model.neck.state_dict()[n], theirs[n]) for n in theirs
    )
    report = load_weights(model, weights, 'backbone+head')
    assert 'neck 16 of 16 tensors (100 %)' in str(report)
    assert all(
        torch.equal(model.neck.state_dict()[n], theirs[n]) for n in theirs
    )


def test_backbone_and_neck_of_a_detector():
    content = detector_file()
    theirs = content['state_dict']
    weights = sort_weights(content, 'x')
    model = encoder_decoder(neck=fpn_config(), in_channels=8)
    head = {n: v.clone() for n, v in model.decode_head.state_dict().items()}

    report = load_weights(model, weights, 'backbone+neck')

    ours = model.state_dict()
    names = {n for n in ours if n.startswith(('backbone.', 'neck.'))}
    held = theirs.keys() & names
    assert all(n.endswith('num_batches_tracked') for n in names - held)
    assert all(torch.equal(ours[name], theirs[name]) for name in held)
    assert all(torch.equal(ours[f'decode_head.{n}'], head[n]) for n in head)
    assert 'neck 48 of 48 tensors (100 %)' in str(report)
    assert dict(report.dropped) == {'not of the parts that are used': 2}
    # The backbone alone leaves the neck as it is.
    other = encoder_decoder(neck=fpn_config(), in_channels=8)
    before = {n: v.clone() for n, v in other.neck.state_dict().items()}
    load_weights(other, weights)
    after = other.neck.state_dict()
    assert all(torch.equal(after[n], before[n]) for n in before)


def test_a_neck_that_one_of_the_two_lacks():
    content = detector_file()
    weights = sort_weights(content, 'x')
    assert 'EncoderDecoder has no neck to load' in refusal(
        encoder_decoder(), weights, 'backbone+neck'
    )
    without = sort_weights(torchvision(random_resnet()), 'x')
    model = encoder_decoder(neck=fpn_config(), in_channels=8)
    assert 'holds no neck, only: backbone' in refusal(
        model, without, 'backbone+neck'
    )
    # Nothing of a neck may be left over, whatever its name.
    content['state_dict']['neck.norm3.weight'] = torch.ones(1)
    weights = sort_weights(content, 'x')
    assert 'neck: 1 not in the model: norm3.weight' in refusal(
        model, weights, 'backbone+neck'
    )


def test_names_of_parts():
    assert parse_part('head+backbone') == ('backbone', 'head')
    assert parse_part('neck+backbone') == ('backbone', 'neck')
    for part in ('', 'necks', 'backbone+', 'backbone,head'):
        with pytest.raises(ValueError, match='part must be'):
            parse_part(part)


def test_a_model_without_the_part():
    weights = sort_weights(mmcp_cp2(random_resnet()), 'x')
    model = build(resnet_config())
    assert refusal(model, weights, 'backbone+head') == (
        "ResNet has no head to load (part='backbone+head'). Parts beside the "
        'backbone are loaded at the level of the segmentor or detector: give '
        'init_cfg to it, not to its backbone.'
    )
    message = refusal(encoder_decoder(), weights, 'backbone+neck+projector')
    assert message == (
        'EncoderDecoder has no neck or projector to load '
        "(part='backbone+neck+projector'). It has only backbone, head: load "
        "part='backbone+head', or build the model with what is lacking. A "
        'detector has no decode head.'
    )


def test_a_file_without_the_part():
    weights = sort_weights(mmcp_moco(random_resnet()), 'x')
    message = refusal(encoder_decoder(), weights, 'backbone+head')
    assert 'holds no head, only: backbone, projector' in message
    assert message.endswith("Load part='backbone' alone.")


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


@pytest.mark.parametrize(('dims', 'heads'), [(16, 2), (96, 3)])
def test_heads_that_no_width_tells_are_asked_for(dims, heads):
    """Nothing is claimed of them, least of all that there are none."""
    model = build(vit_config(heads, embed_dims=dims))
    message = refusal(model, sort_weights(vit(dims), 'small.pth'))
    assert 'does not say how many it was trained with' in message
    assert message.endswith(
        f'say so with num_heads={heads} where the checkpoint is named.'
    )

    told = sort_weights(vit(dims), 'x', num_heads=heads)
    assert '(100 %)' in str(load_weights(model, told))
    noted = dict(meta=dict(mmcp=dict(num_heads=heads)), state_dict=vit(dims))
    assert '(100 %)' in str(load_weights(model, sort_weights(noted, 'x')))
    wrong = sort_weights(vit(dims), 'x', num_heads=heads + 1)
    assert f'with {heads + 1} attention heads' in refusal(model, wrong)


def bottlenecks(style):
    return build(
        resnet_config(
            depth=50, base_channels=2, strides=(1, 2, 2, 2), style=style
        )
    )


@pytest.mark.parametrize('make', [moco_v2, moco_v3, pixpro, infomin])
def test_stride_in_another_convolution(make):
    """Caffe's ResNet has the same tensors and computes something else."""
    model = bottlenecks('pytorch')
    weights = sort_weights(make(model.state_dict()), 'resnet.pth')
    assert '(100 %)' in str(load_weights(model, weights))
    message = refusal(bottlenecks('caffe'), weights)
    assert message.startswith('resnet.pth (')
    assert "of style='caffe', has it in the 1x1 before" in message
    assert "Set style='pytorch' in the backbone" in message
    # Files of a kind of which there are both.
    either = sort_weights(torchvision(model.state_dict()), 'x')
    assert load_weights(bottlenecks('caffe'), either)


def test_basic_blocks_have_one_style():
    weights = sort_weights(moco_v2(random_resnet()), 'x')
    assert load_weights(build(resnet_config(style='caffe')), weights)


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
@pytest.mark.parametrize(
    ('name', 'words'),
    [
        ('backbone.bn1.running_var', 'bn1.running_var of the backbone'),
        ('decode_head.convs.0.bn.bias', 'convs.0.bn.bias of the head'),
    ],
)
def test_a_training_that_diverged(name, words, value):
    content = mmcp_cp2(random_resnet())
    content['state_dict'][f'encoder_q.{name}'][1] = value
    weights = sort_weights(content, 'cp2.pth')
    model = encoder_decoder()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        load_weights(model, weights, 'backbone+head')
    assert f'cp2.pth: {words} holds NaN or infinity' in str(caught.value)
    after = model.state_dict()
    assert all(torch.equal(after[k], before[k]) for k in before)


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
