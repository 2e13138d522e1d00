"""Tests of converting checkpoints, by what the results compute."""

import json

import pytest
import torch
from checkpoint_layouts import (
    RESNET_ROWS,
    VIT_ROWS,
    fcn_head,
    mmcp_cp2,
    mmpretrain_simclr,
    moco_v2,
    moco_v3,
    random_resnet,
    resnet_config,
    torchvision,
    under,
    vit,
    vit_config,
)
from checkpoint_models import build as build_model
from checkpoint_models import encoder_decoder
from conversion.check import check_backbone
from conversion.efficient_net_reference import efficient_net_features
from conversion.reference import resnet_features, vit_features
from convert_checkpoint import main, parse_args
from efficient_net_samples import features as features_of
from efficient_net_samples import flat, make_model, mmdet, mmpretrain, timm
from mmengine.runner import load_checkpoint
from payload import write_hostile

from mmcp.checkpoints import (
    CheckpointError,
    UnsafeCheckpointError,
    read_checkpoint,
    sort_weights,
)
from mmcp.engine.config import UsageError
from mmcp.engine.launch import run_tool

ROWS = [pytest.param(*row, id=name) for name, row in RESNET_ROWS.items()]
VIT_CASES = [pytest.param(*row, id=name) for name, row in VIT_ROWS.items()]
IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def convert(tmp_path):
    """Converts a content; returns what was written."""

    def run(content, *options):
        torch.save(content, tmp_path / 'source.pth')
        out = tmp_path / 'sub' / 'out.pth'
        words = [tmp_path / 'source.pth', out, '--overwrite', *options]
        main([str(word) for word in words])
        return read_checkpoint(out)

    return run


def features(model, images):
    # MMSegmentation's eval() returns None.
    model.eval()
    with torch.no_grad():
        return model(images)


@pytest.mark.parametrize(('build', 'layout', 'head', 'projector'), ROWS)
def test_convolutional_rows(
    convert, tmp_path, capsys, build, layout, head, projector
):
    backbone = random_resnet()
    content = convert(build(backbone))
    state = content['state_dict']
    assert 'ResNet-18 gives the features of the source' in (
        capsys.readouterr().out
    )
    assert content['meta']['mmcp'] == dict(source='source.pth', layout=layout)
    roots = {name.split('.')[0] for name in state}
    assert roots == ({'backbone', 'decode_head'} if head else {'backbone'})
    if head:
        theirs = under('decode_head.', fcn_head())
        found = {n: v for n, v in state.items() if n in theirs}
        assert set(found) == set(theirs)
        assert all(torch.equal(found[n], theirs[n]) for n in theirs)
    model = encoder_decoder()
    load_checkpoint(model, str(tmp_path / 'sub' / 'out.pth'))
    expected = resnet_features(backbone.__getitem__, set(backbone), IMAGES)
    found = features(model.backbone, IMAGES)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(('build', 'layout', 'sine', 'heads'), VIT_CASES)
@pytest.mark.parametrize('norm', [True, False])
def test_transformer_rows(
    convert, tmp_path, capsys, build, layout, sine, heads, norm
):
    backbone = vit(sine=sine, norm=norm)
    content = convert(
        build(backbone), '--to', 'backbone', '--part', 'backbone'
    )
    assert f'1 layers and {heads} heads gives' in capsys.readouterr().out
    assert content['meta']['mmcp']['num_heads'] == heads
    model = build_model(vit_config(heads, final_norm=norm))
    model.load_state_dict(content['state_dict'])
    images = IMAGES[:, :, :12, :12]
    expected = vit_features(backbone.__getitem__, set(backbone), images, heads)
    found = features(model, images)
    torch.testing.assert_close(found[0], expected[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ('target', 'part', 'roots'),
    [
        ('mmseg', None, {'backbone', 'decode_head'}),
        ('mmseg', 'backbone', {'backbone'}),
        ('mmdet', None, {'backbone'}),
        (
            'backbone',
            None,
            {f'layer{i}' for i in range(1, 5)} | {'conv1', 'bn1'},
        ),
    ],
)
def test_targets(convert, target, part, roots):
    options = ['--part', part] if part else []
    content = convert(mmcp_cp2(random_resnet()), '--to', target, *options)
    assert {n.split('.')[0] for n in content['state_dict']} == roots


def test_what_is_written_is_read_again(convert):
    content = convert(mmcp_cp2(vit()))
    weights = sort_weights(content, 'x')
    assert weights.layout.name == 'openmmlab'
    assert weights.num_heads == 6
    first = sort_weights(mmcp_cp2(vit()), 'x')
    for part in ('backbone', 'head'):
        assert set(weights.part(part)) == set(first.part(part))


def test_positions_are_resized_on_request(convert):
    content = convert(vit(), '--img-size', 16, 24)
    assert content['state_dict']['backbone.pos_embed'].shape == (1, 25, 384)
    model = build_model(vit_config(img_size=(16, 24)))
    theirs = model.resize_pos_embed(
        vit()['pos_embed'], (4, 6), (3, 3), 'bicubic'
    )
    found = content['state_dict']['backbone.pos_embed']
    torch.testing.assert_close(found, theirs)


def test_report_names_every_tensor(convert, tmp_path, capsys):
    content = moco_v2(random_resnet())
    written = convert(content, '--report', tmp_path / 'r' / 'report.json')
    report = json.loads((tmp_path / 'r' / 'report.json').read_text())
    assert report['layout'] == 'moco'
    assert set(report['written']) == set(written['state_dict'])
    projector = 4
    left = len(report['left_out']) + len(report['origin']) + projector
    assert left == len(content['state_dict'])
    assert report['origin']['bn1.bias'] == 'module.encoder_q.bn1.bias'
    assert report['forward_check']['model'] == 'a ResNet-18'
    assert 0 <= report['forward_check']['relative_difference'] < 1e-4
    said = capsys.readouterr().out
    assert 'source.pth: MoCo v1 or v2 (facebookresearch/moco)' in said
    assert f'backbone: {len(report["origin"])} tensors, written' in said
    assert 'projector: 4 tensors, left out' in said
    assert 'queue: 2 tensors, left out' in said
    assert 'out.pth: sha256 ' in said


def test_the_check_sees_exchanged_tensors():
    content = mmpretrain_simclr(random_resnet())
    weights = sort_weights(content, 'x')
    backbone = dict(weights.backbone)
    first, second = 'layer1.0.bn1.weight', 'layer1.1.bn1.weight'
    backbone[first], backbone[second] = backbone[second], backbone[first]
    with pytest.raises(CheckpointError, match='gives other features'):
        check_backbone(content, weights, backbone)

    content = vit()
    weights = sort_weights(content, 'x')
    backbone = dict(weights.backbone)
    first, second = 'layers.0.ln1.bias', 'layers.0.ln2.bias'
    backbone[first], backbone[second] = backbone[second], backbone[first]
    with pytest.raises(CheckpointError, match='gives other features'):
        check_backbone(content, weights, backbone)


def test_the_check_sees_missing_tensors():
    content = dict(random_resnet())
    weights = sort_weights(content, 'x')
    backbone = dict(weights.backbone)
    del backbone['layer4.1.bn2.running_var']
    with pytest.raises(CheckpointError, match='missing in the file: layer4.1'):
        check_backbone(content, weights, backbone)


def test_the_check_sees_what_is_not_finite():
    content = dict(random_resnet())
    content['layer2.0.bn1.weight'] *= float('nan')
    weights = sort_weights(content, 'x')
    with pytest.raises(CheckpointError, match='relative difference nan'):
        check_backbone(content, weights, weights.backbone)


def test_bottlenecks_are_checked(convert, capsys):
    config = resnet_config(depth=50, base_channels=2)
    state = build_model(config).state_dict()
    generator = torch.Generator().manual_seed(0)
    state = {
        name: value + torch.rand(value.shape, generator=generator) / 50
        if value.is_floating_point()
        else value
        for name, value in state.items()
    }
    content = convert(moco_v2(state), '--to', 'backbone')
    assert 'ResNet-50 gives the features' in capsys.readouterr().out
    model = build_model(config)
    model.load_state_dict(content['state_dict'])
    found = features(model, IMAGES)
    expected = resnet_features(state.__getitem__, set(state), IMAGES)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


def test_other_backbones_are_converted_unchecked(convert, capsys):
    config = dict(type='mmseg.MobileNetV2', widen_factor=0.1)
    state = build_model(config).state_dict()
    content = convert(dict(state_dict=state))
    said = capsys.readouterr()
    assert 'forward check: not made; it knows ResNets' in said.out
    assert 'whether tensors are missing in backbone, which' in said.err
    assert set(content['state_dict']) == {f'backbone.{n}' for n in state}


def without(state, start):
    return {n: v for n, v in state.items() if not n.startswith(start)}


def aspp_head():
    config = dict(
        type='ASPPHead',
        in_channels=32,
        in_index=3,
        channels=8,
        dilations=(1, 2),
        num_classes=5,
        norm_cfg=dict(type='BN'),
    )
    return encoder_decoder(head=config).decode_head.state_dict()


def with_head(head):
    state = under('backbone.', random_resnet()) | under('decode_head.', head)
    return dict(state_dict=state)


def broken_files():
    """Contents, and what is said to be wrong with them."""
    resnet = random_resnet()
    layer4 = without(resnet, 'layer4.')
    names = list(resnet)
    distilled = vit() | {
        'pos_embed': torch.zeros(1, 11, 384),
        'dist_token': torch.zeros(1, 1, 384),
    }
    return {
        'stage': (
            moco_v2(layer4),
            'looks like a ResNet-18, but does not fit it (backbone: '
            '25 missing in the file: layer4.0.conv1.weight, ',
        ),
        'middle stage': (
            moco_v2(without(resnet, 'layer2.')),
            'ResNet-18, but does not fit it (backbone: 25 missing in the '
            'file: layer2.0.conv1.weight, ',
        ),
        'block': (
            moco_v2(without(resnet, 'layer4.1.')),
            '10 missing in the file: layer4.1.conv1.weight, ',
        ),
        'half': (
            moco_v2({name: resnet[name] for name in names[:63]}),
            'layer3.0.bn1.weight, layer3.0.bn1.bias and 47 more). ',
        ),
        'tensor': (
            moco_v2(without(resnet, 'layer3.0.bn1.weight')),
            'backbone: 1 missing in the file: layer3.0.bn1.weight)',
        ),
        'downsample': (
            moco_v2(without(resnet, 'layer2.0.downsample.0')),
            'missing in the file: layer2.0.downsample.0.weight)',
        ),
        'shape': (
            moco_v2(resnet | {'layer3.0.bn1.bias': torch.ones(3)}),
            'layer3.0.bn1.bias ((3,) in the file, (16,) in the model)',
        ),
        'no kernel': (
            moco_v2(resnet | {'layer1.0.conv2.weight': torch.ones(4)}),
            'is not of the kind that its names say (tuple index out of range)',
        ),
        **{
            name: (without(vit(), name), f'1 missing in the file: {ours})')
            for name, ours in (
                ('pos_embed', 'pos_embed'),
                ('cls_token', 'cls_token'),
                ('patch_embed.proj.bias', 'patch_embed.projection.bias'),
                ('blocks.0.mlp.fc2.bias', 'layers.0.ffn.layers.1.bias'),
                (
                    'blocks.0.attn.qkv.bias',
                    'layers.0.attn.attn.in_proj_bias',
                ),
            )
        },
        'start of a transformer': (
            without(vit(), 'patch_embed.proj.weight'),
            'missing in the file: ',
        ),
        'distilled': (distilled, '1 not in the model: dist_token'),
        'convolutional net of another kind': (
            without(timm(make_model()), 'blocks.1.0.bn3.bias'),
            'looks like an EfficientNet-B0, but does not fit it (backbone: '
            '1 missing in the file: layers.2.0.linear_conv.bn.bias)',
        ),
        'head': (
            with_head(without(fcn_head(), 'convs.0.bn')),
            'looks like an FCNHead, but does not fit it (head: 4 missing in '
            'the file: convs.0.bn.weight, ',
        ),
        'pooling of a head': (
            with_head(without(aspp_head(), 'image_pool')),
            'head: 5 missing in the file: image_pool.1.conv.weight, ',
        ),
        'branch of a head': (
            with_head(without(aspp_head(), 'aspp_modules.0')),
            'head: 5 missing in the file: aspp_modules.0.conv.weight, ',
        ),
    }


BROKEN = broken_files()


@pytest.mark.parametrize(('content', 'said'), BROKEN.values(), ids=BROKEN)
def test_incomplete_files_are_refused(tmp_path, capsys, content, said):
    source, out = tmp_path / 'source.pth', tmp_path / 'out.pth'
    torch.save(content, source)

    assert run_tool(main, [str(source), str(out)]) == 1

    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith('error: ')
    assert said in message
    assert message.endswith('nothing was written.')
    assert list(tmp_path.iterdir()) == [source]


def test_a_prefix_of_a_backbone_of_another_kind(convert, capsys):
    """Its blocks may have any names, that of a first convolution too."""
    state = dict(random_resnet())
    state['stage2.0.branches.0.conv1.weight'] = torch.ones(4, 4, 3, 3)
    content = convert(under('net.', state), '--prefix', 'net.')
    assert set(content['state_dict']) == set(under('backbone.', state))
    assert 'missing in backbone' in capsys.readouterr().err


def test_a_prefix_that_is_too_short(tmp_path, capsys):
    source, out = tmp_path / 'source.pth', tmp_path / 'out.pth'
    torch.save(moco_v2(random_resnet()), source)
    words = [str(source), str(out), '--prefix', 'module.']
    assert run_tool(main, words) == 1
    assert "under 'encoder_k.' and 'encoder_q.'" in capsys.readouterr().err
    assert not out.exists()


HEADS = {
    'fcn with concat': dict(num_convs=2, concat_input=True),
    'fcn 1x1': dict(kernel_size=1),
    'fcn without norm': dict(norm_cfg=None),
    'fcn with groups': dict(norm_cfg=dict(type='GN', num_groups=2)),
    'aspp': None,
}


@pytest.mark.parametrize('options', HEADS.values(), ids=HEADS)
def test_whole_heads_are_written(convert, capsys, options):
    head = aspp_head()
    if options is not None:
        head = encoder_decoder(**options).decode_head.state_dict()
    content = convert(with_head(head))
    assert not capsys.readouterr().err
    written = {n for n in content['state_dict'] if n.startswith('decode_head')}
    assert written == set(under('decode_head.', without(head, 'conv_seg.')))


def test_what_is_unknown_is_named(convert, capsys):
    content = with_head({'ocr.conv.weight': torch.ones(4, 4, 1, 1)})
    content['state_dict'] |= {'neck.x.weight': torch.ones(2)}
    convert(content)
    said = capsys.readouterr().err
    assert 'whether tensors are missing in head and neck, ' in said


def resnext():
    backbone = random_resnet()
    kernel = backbone['layer1.0.conv2.weight']
    return backbone | {'layer1.0.conv2.weight': kernel[:, :2]}


VARIANTS = {
    'grouped': resnext(),
    'deeper': random_resnet(blocks=(3, 4, 7, 3)),
    'squeeze': random_resnet() | {'layer1.0.se.conv.weight': torch.ones(2)},
}


@pytest.mark.parametrize('backbone', VARIANTS.values(), ids=VARIANTS)
def test_variants_of_resnets_are_unknown(convert, capsys, backbone):
    content = convert(torchvision(backbone))
    assert 'could not be checked' in capsys.readouterr().err
    assert len(content['state_dict']) == len(backbone)


def test_transformers_of_openmmlab_need_not_be_square(convert, capsys):
    options = dict(img_size=(8, 16), patch_bias=False, qkv_bias=False)
    model = build_model(vit_config(pre_norm=True, **options))
    content = convert(under('backbone.', model.state_dict()))
    said = capsys.readouterr()
    assert not said.err
    assert 'not made, but all tensors of a transformer of 1 ' in said.out
    assert len(content['state_dict']) == len(model.state_dict())


def test_a_prefix_can_be_given(convert):
    state = under('net.trunk.', random_resnet())
    content = convert(state, '--prefix', 'net.trunk.')
    assert set(content['state_dict']) == {
        f'backbone.{name}' for name in random_resnet()
    }


def test_heads_can_be_given(convert, capsys):
    content = convert(vit(), '--num-heads', 12)
    assert content['meta']['mmcp']['num_heads'] == 12
    said = capsys.readouterr()
    assert '1 layers with the 12 heads that you gave gives' in said.out
    assert 'you gave 12 attention heads, but the file or its ' in said.err
    assert 'width tells 6;' in said.err


@pytest.mark.parametrize(
    ('content', 'heads'), [(vit(), 6), (moco_v3(vit(sine=True)), 12)]
)
def test_the_usual_heads_need_no_warning(convert, capsys, content, heads):
    convert(content, '--num-heads', heads)
    said = capsys.readouterr()
    assert f'with the {heads} heads that you gave' in said.out
    assert not said.err


def test_mistakes_end_in_one_line(tmp_path, capsys):
    source, out = tmp_path / 'source.pth', tmp_path / 'out.pth'
    torch.save(moco_v2(random_resnet()), source)

    def refused(*options):
        words = [str(word) for word in (source, out, *options)]
        assert run_tool(main, words) == 1
        assert not out.exists()
        return capsys.readouterr().err

    assert 'holds no head' in refused('--part', 'backbone+head')
    said = refused('--to', 'mmdet', '--part', 'backbone+head')
    assert 'a file for mmdet has no head' in said
    assert 'no position embedding' in refused('--img-size', 16, 16)
    assert "begin with 'x.'" in refused('--prefix', 'x.')
    torch.save(vit(), source)
    assert 'no whole number of patches' in refused('--img-size', 16, 15)
    assert '384 channels, which 7 attention heads' in refused('--num-heads', 7)
    assert '384 channels, which 0 attention heads' in refused('--num-heads', 0)
    source.write_bytes(source.read_bytes()[:3000])
    assert 'cut short' in refused()
    out.write_text('mine')
    words = [str(tmp_path / 'source.pth'), str(out)]
    with pytest.raises(UsageError, match='--overwrite replaces it'):
        main(words)
    assert out.read_text() == 'mine'


def test_places_that_cannot_be_written(tmp_path, capsys):
    """They are named before anything is read or written."""
    source, folder = tmp_path / 'source.pth', tmp_path / 'folder'
    link, out = tmp_path / 'link.pth', tmp_path / 'out.pth'
    torch.save(moco_v2(random_resnet()), source)
    before = source.read_bytes()
    folder.mkdir()
    link.symlink_to(source)
    for words, said in (
        ((folder, '--overwrite'), f'{folder} is a folder'),
        ((out, '--report', folder), f'{folder} is a folder'),
        ((source, '--overwrite'), f'{source} would be overwritten'),
        ((link, '--overwrite'), f'{link} would be overwritten'),
        ((out, '--report', source), f'{source} would be overwritten'),
        ((out, '--report', out), f'{out} would be overwritten'),
        ((source / 'out.pth',), f'{source} is a file, so'),
    ):
        assert run_tool(main, [str(source), *map(str, words)]) == 1
        assert f'error: {said}' in capsys.readouterr().err
        assert set(tmp_path.iterdir()) == {source, folder, link}
        assert not list(folder.iterdir())
    assert source.read_bytes() == before


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    source, out = tmp_path / 'source.pth', tmp_path / 'out.pth'
    torch.save(moco_v2(random_resnet()), source)
    out.write_text('mine')

    def interrupted(content, path):
        path.write_text('half')
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, 'save', interrupted)
    with pytest.raises(KeyboardInterrupt):
        main([str(source), str(out), '--overwrite'])
    assert out.read_text() == 'mine'
    assert set(tmp_path.iterdir()) == {source, out}


def test_a_payload_does_not_run(tmp_path):
    marker, out = tmp_path / 'marker', tmp_path / 'out.pth'
    path = write_hostile(
        tmp_path / 'bad.pth', marker, state_dict=random_resnet()
    )
    with pytest.raises(UnsafeCheckpointError):
        main([str(path), str(out)])
    assert not marker.exists()
    assert not out.exists()
    main([str(path), str(out), '--trust-checkpoint'])
    assert marker.is_dir()


def test_help_shows_the_example_as_it_is_typed(capsys):
    with pytest.raises(SystemExit):
        parse_args(['--help'])
    said = capsys.readouterr().out
    assert 'tools/converters/convert_checkpoint.py \\\n        moco_v2' in said


def test_defaults():
    args = parse_args(['a.pth', 'b.pth'])
    assert (args.to, args.part, args.img_size) == ('mmseg', None, None)


@pytest.mark.parametrize('build', [timm, flat, mmdet, mmpretrain])
def test_efficient_nets(convert, capsys, build):
    model = make_model()
    content = convert(build(model), '--to', 'mmdet', '--part', 'backbone')

    said = capsys.readouterr().out
    assert 'EfficientNet-B0 gives the features of the source' in said
    expected = under('backbone.', mmdet(model))
    assert set(content['state_dict']) == set(expected)
    for name, value in content['state_dict'].items():
        assert torch.equal(value, expected[name])


@pytest.mark.parametrize('build', [timm, flat, mmdet])
def test_the_reference_of_efficient_nets_is_right(build):
    model = make_model()
    state = build(model)
    images = IMAGES[:1, :, :, :49]

    found = efficient_net_features(state.__getitem__, set(state), images)

    for ours, theirs in zip(found, features_of(model, images), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_the_check_sees_exchanged_tensors_of_an_efficient_net():
    content = timm(make_model())
    weights = sort_weights(content, 'x')
    backbone = dict(weights.backbone)
    first, second = 'layers.4.1.se.conv2.conv', 'layers.4.2.se.conv2.conv'
    for key in ('weight', 'bias'):
        names = f'{first}.{key}', f'{second}.{key}'
        backbone[names[0]], backbone[names[1]] = (
            backbone[names[1]],
            backbone[names[0]],
        )
    with pytest.raises(CheckpointError, match='gives other features'):
        check_backbone(content, weights, backbone)


def test_other_names_are_no_efficient_nets():
    with pytest.raises(ValueError, match='no names of an EfficientNet'):
        efficient_net_features({}.__getitem__, set(random_resnet()), IMAGES)
