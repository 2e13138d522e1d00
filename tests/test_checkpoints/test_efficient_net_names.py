"""EfficientNets of every project are read whole and compute the same."""

import pytest
import torch
from checkpoint_layouts import under
from checkpoint_models import refusal
from efficient_net_samples import (
    features,
    flat,
    make_model,
    mmdet,
    mmpretrain,
    timm,
)
from mmengine.registry import MODELS

from mmcp.checkpoints import LayoutError, load_weights, sort_weights
from mmcp.checkpoints.comparison import compare
from mmcp.checkpoints.efficient_net_names import (
    ARCHES,
    from_flat,
    from_timm,
    is_flat,
    is_timm,
    size_of,
)
from mmcp.models import EfficientNet

MODEL = make_model()
IMAGES = torch.randn(1, 3, 65, 96, generator=torch.Generator().manual_seed(1))


def wrapped_flat(model):
    return dict(state_dict=under('module.', flat(model)), epoch=3)


ROWS = {
    'timm': (timm, 'backbone'),
    'EfficientNet-PyTorch': (flat, 'backbone'),
    'the same from several GPUs': (wrapped_flat, 'backbone'),
    'MMDetection': (mmdet, 'backbone'),
    'MMPreTrain': (mmpretrain, 'openmmlab'),
}
each_row = pytest.mark.parametrize(
    ('build', 'layout'), ROWS.values(), ids=ROWS
)


def backbone(**options):
    return EfficientNet(**{'out_indices': (1, 2, 3, 4, 5), **options}).eval()


@each_row
def test_names_are_those_of_mmdetection(build, layout):
    weights = sort_weights(build(MODEL), 'x')

    assert weights.layout.name == layout
    expected = mmdet(MODEL)
    assert set(weights.backbone) == set(expected)
    for name, value in weights.backbone.items():
        assert torch.equal(value, expected[name]), name
    dropped = set(weights.dropped.values())
    assert dropped <= {'not of the parts that are used'}


@each_row
@torch.no_grad()
def test_features_are_those_of_the_source(build, layout, tmp_path):
    path = tmp_path / 'weights.pth'
    torch.save(build(MODEL), path)
    config = dict(type='mmcp.Pretrained', checkpoint=str(path))
    model = MODELS.build(
        dict(
            type='mmcp.EfficientNet',
            out_indices=(1, 2, 3, 4, 5),
            init_cfg=config,
        )
    )

    model.init_weights()

    for found, expected in zip(
        model.eval()(IMAGES), features(MODEL, IMAGES), strict=True
    ):
        assert found.shape == expected.shape
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_weights_trained_with_even_padding_need_other_options():
    """timm's names without ``tf_`` are the same, its networks are not."""
    model = backbone(conv_cfg=None, norm_cfg=dict(type='BN', eps=1e-5))
    load_weights(model, sort_weights(timm(MODEL), 'x'))
    expected = features(MODEL, IMAGES, same=False, eps=1e-5)

    for found, wanted in zip(model(IMAGES), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('build', [timm, flat, mmpretrain])
def test_noisy_student_fits_the_largest_model_of_the_paper(build):
    with torch.device('meta'):
        model = EfficientNet('b7', out_indices=(3, 4, 5))
    large = make_model(width=2.0, depth=3.1, device='meta')
    # As published for B7.
    assert (
        sum(
            value.numel()
            for name, value in timm(large).items()
            if name.endswith(('weight', 'bias'))
        )
        == 66_347_960
    )

    weights = sort_weights(build(large), 'x')
    result = compare('backbone', model.state_dict(), weights.backbone)

    assert result.fits
    assert result.matched == len(model.state_dict())
    assert {name.split('.')[1] for name in result.unused} == {'6'}


def test_layers_that_are_not_built_are_left_out():
    report = load_weights(
        backbone(out_indices=(2, 3)), sort_weights(timm(MODEL), 'x')
    )

    later = [n for n in mmdet(MODEL) if n.split('.')[1] in ('4', '5', '6')]
    assert report.dropped['not built in the model'] == len(later)


def test_a_layer_in_the_middle_may_not_be_missing():
    state = timm(MODEL)
    del state['blocks.4.2.se.conv_reduce.weight']

    message = refusal(backbone(), sort_weights(state, 'x'))

    assert 'missing in the file: layers.4.5.se.conv1.conv.weight' in message


def test_a_block_too_many_is_refused():
    state = timm(MODEL)
    state['blocks.6.1.bn3.weight'] = torch.ones(320)

    message = refusal(backbone(), sort_weights(state, 'x'))

    assert 'not in the model: layers.5.5.linear_conv.bn.weight' in message


def test_another_size_is_named():
    message = refusal(backbone(arch='b2'), sort_weights(timm(MODEL), 'x'))

    assert (
        "the file's EfficientNet has 6 blocks and 80 channels at stride 16, "
        "the model's 8 and 88; set arch='b0'" in message
    )


def test_another_family_is_named():
    resnet = MODELS.build(dict(type='mmdet.ResNet', depth=18))

    message = refusal(resnet, sort_weights(flat(MODEL), 'x'))

    assert "backbone is an EfficientNet, the model's a ResNet" in message


@pytest.mark.parametrize('arch', sorted(ARCHES.values()))
def test_every_size_is_known_and_told_by_its_number_of_blocks(arch):
    with torch.device('meta'):
        state = EfficientNet(arch, out_indices=(6,)).state_dict()
    assert ARCHES[size_of({n: v.shape for n, v in state.items()})] == arch

    # The names of EfficientNet-PyTorch, from those of MMDetection.
    parts = {
        'expand_conv.conv': '_expand_conv',
        'depthwise_conv.conv': '_depthwise_conv',
        'linear_conv.conv': '_project_conv',
    }
    blocks = sorted(
        {
            tuple(map(int, name.split('.')[1:3]))
            for name in state
            if name.split('.')[2].isdigit()
        }
    )
    names = {'_conv_stem.weight': 'layers.0.conv.weight'}
    for index, (layer, block) in enumerate(blocks):
        for ours, theirs in parts.items():
            name = f'layers.{layer}.{block}.{ours}.weight'
            if name in state:
                names[f'_blocks.{index}.{theirs}.weight'] = name
    assert is_flat(names)
    assert from_flat(names) == names


def test_other_networks_of_timm_are_not_taken_for_one():
    assert is_timm(timm(MODEL))
    # MobileNetV3 and MixNet begin alike.
    names = {'conv_stem.weight', 'blocks.0.0.conv_dw.weight'}
    assert not is_timm(names)
    assert not is_flat({'_conv_stem.weight', '_blocks.0._bn0.weight'})


def test_unknown_names_stay():
    names = [*timm(MODEL), 'extra.weight']
    assert from_timm(names)['extra.weight'] == 'extra.weight'


def test_a_prefix_is_suggested():
    with pytest.raises(LayoutError, match=r"give prefix='net\.b\.'\.$"):
        sort_weights(under('net.b.', timm(MODEL)), 'x')

    weights = sort_weights(under('net.b.', timm(MODEL)), 'x', prefix='net.b')
    assert set(weights.backbone) == set(mmdet(MODEL))
