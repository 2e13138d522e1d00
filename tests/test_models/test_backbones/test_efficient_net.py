import math

import pytest
import torch
from mmcv.cnn.bricks import DropPath
from mmdet.models.backbones import EfficientNet as MMDetEfficientNet
from mmengine.registry import MODELS
from torch import nn
from torch.nn.modules.batchnorm import SyncBatchNorm, _BatchNorm

from mmcp.models import EfficientNet


def make(**arguments):
    torch.manual_seed(0)
    return MODELS.build(dict(type='mmcp.EfficientNet', **arguments))


def depthwise(model):
    return [
        module
        for module in model.modules()
        if isinstance(module, nn.Conv2d) and module.groups > 1
    ]


@torch.no_grad()
def test_features_are_mmdetections():
    ours = make(out_indices=(2, 3, 4, 5))
    theirs = MMDetEfficientNet(out_indices=(2, 3, 4, 5))
    theirs.load_state_dict(ours.state_dict(), strict=True)
    theirs.eval()
    image = torch.randn(1, 3, 65, 96)

    features = ours.eval()(image)

    assert [tuple(x.shape[1:]) for x in features] == [
        (24, 17, 24),
        (40, 9, 12),
        (112, 5, 6),
        (320, 3, 3),
    ]
    for found, expected in zip(features, theirs(image), strict=True):
        torch.testing.assert_close(found, expected)


def kept_for_gradients(model):
    """Bytes of all tensors but weights that a forward pass keeps."""
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        # The tensor itself keeps its address from being used again.
        kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        outputs = model(torch.randn(1, 3, 64, 64))
    assert outputs
    return sum(size for key, (size, _) in kept.items() if key not in weights)


def test_swish_keeps_less_for_the_gradients():
    ours = kept_for_gradients(make())

    assert ours < 0.85 * kept_for_gradients(make(act_cfg=dict(type='Swish')))


def test_depthwise_weights_start_with_the_fan_out_of_one_group():
    ours, theirs = make(), MMDetEfficientNet()
    torch.manual_seed(3)
    ours.init_weights()
    torch.manual_seed(3)
    theirs.init_weights()

    for found, raw in zip(depthwise(ours), depthwise(theirs), strict=True):
        std = math.sqrt(2 / found.kernel_size[0] ** 2)
        assert found.weight.std().item() == pytest.approx(std, rel=0.15)
        torch.testing.assert_close(
            found.weight, raw.weight * math.sqrt(found.groups)
        )
        raw.weight.data = found.weight.data
    expected = theirs.state_dict()
    for name, value in ours.state_dict().items():
        assert torch.equal(value, expected[name]), name


def test_weights_are_scaled_once():
    model = make()
    model.init_weights()
    before = [module.weight.clone() for module in depthwise(model)]

    model.init_weights()

    for module, weight in zip(depthwise(model), before, strict=True):
        assert torch.equal(module.weight, weight)


@pytest.mark.parametrize('kind', ['Pretrained', 'mmcp.Pretrained'])
@pytest.mark.parametrize('first', [[], [dict(type='Kaiming', layer='Conv2d')]])
def test_weights_from_a_file_are_not_scaled(tmp_path, kind, first):
    source = make()
    path = tmp_path / 'weights.pth'
    torch.save(source.state_dict(), path)
    torch.manual_seed(1)
    model = EfficientNet(
        init_cfg=[*first, dict(type=kind, checkpoint=str(path))]
    )

    model.init_weights()

    for name, value in source.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name


def test_modes_return_the_backbone():
    model = make()

    assert model.train() is model
    assert all(module.training for module in model.modules())
    assert model.eval() is model
    assert not any(module.training for module in model.modules())


def test_norms_stay_in_evaluation_synchronised_or_not():
    for kind, norm in (('BN', nn.BatchNorm2d), ('SyncBN', SyncBatchNorm)):
        model = make(norm_cfg=dict(type=kind, eps=1e-3), norm_eval=True)

        model.train()

        norms = [m for m in model.modules() if isinstance(m, _BatchNorm)]
        assert all(isinstance(m, norm) for m in norms)
        assert not any(m.training for m in norms)
        assert model.layers[1][0].depthwise_conv.training


def test_frozen_stages_stay_in_evaluation():
    model = make(frozen_stages=2).train()

    modes = [layer.training for layer in model.layers]
    grads = [
        {p.requires_grad for p in layer.parameters()} for layer in model.layers
    ]

    assert modes == [False] * 2 + [True] * 5
    assert grads == [{False}] * 2 + [{True}] * 5


def test_stochastic_depth_grows_linearly_to_the_rate():
    model = make(drop_path_rate=0.2)
    blocks = [block for layer in model.layers[1:-1] for block in layer]

    rates = [getattr(block.drop_path, 'drop_prob', 0) for block in blocks]

    assert rates == pytest.approx([0.2 * i / 15 for i in range(16)])


@torch.no_grad()
def test_stochastic_depth_skips_blocks_of_samples_in_training_only():
    block = make(drop_path_rate=0.5).layers[-2][-2]
    assert isinstance(block.drop_path, DropPath)
    rate = block.drop_path.drop_prob
    x = torch.randn(64, block.linear_conv.conv.out_channels, 2, 2)
    block.eval()
    residual = block(x) - x

    block.drop_path.train()
    change = block(x) - x

    skipped = (change == 0).flatten(1).all(1)
    assert 0.25 < skipped.float().mean() < 0.75
    torch.testing.assert_close(
        change[~skipped], residual[~skipped] / (1 - rate), atol=1e-5, rtol=1e-4
    )


def test_it_builds_without_memory():
    with torch.device('meta'):
        model = make(arch='b7', out_indices=(2, 3, 4, 5))

    assert {p.device.type for p in model.parameters()} == {'meta'}
    assert {b.device.type for b in model.buffers()} == {'meta'}
    features = model(torch.empty(1, 3, 64, 64, device='meta'))
    assert [x.shape[1] for x in features] == [48, 80, 224, 640]
