import pytest
import torch
from torch import nn

from mmcp.models.selfsup import SplitBatchNorm2d
from mmcp.models.selfsup.split_batch_norm import (
    has_batch_norm,
    split_batch_norm,
)


def filled(layer, seed=0):
    """The layer with weights and statistics that are not 0 and 1."""
    generator = torch.Generator().manual_seed(seed)
    for tensor in layer.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    return layer


@pytest.mark.parametrize('splits', [1, 2, 3])
@pytest.mark.parametrize('momentum', [0.1, None])
@pytest.mark.parametrize(
    'memory_format', [torch.contiguous_format, torch.channels_last]
)
def test_parts_are_normalised_as_on_as_many_devices(
    splits, momentum, memory_format
):
    layer = filled(SplitBatchNorm2d(4, splits, momentum=momentum))
    devices = [
        filled(nn.BatchNorm2d(4, momentum=momentum)) for _ in range(splits)
    ]
    for step in range(2):
        images = torch.randn(6, 4, 3, 5) + step
        images = images.to(memory_format=memory_format)
        leaf = images.clone().requires_grad_()
        expected_leaf = images.clone().requires_grad_()
        result = layer(leaf)
        expected = torch.cat(
            [
                device(part)
                for device, part in zip(
                    devices, expected_leaf.chunk(splits), strict=True
                )
            ]
        )
        weights = torch.randn_like(result)
        (result * weights).sum().backward()
        (expected * weights).sum().backward()
        torch.testing.assert_close(result, expected)
        torch.testing.assert_close(
            leaf.grad, expected_leaf.grad, atol=1e-5, rtol=1e-4
        )
        assert result.is_contiguous(memory_format=memory_format)
    torch.testing.assert_close(
        layer.weight.grad, sum(device.weight.grad for device in devices)
    )
    for name in ('running_mean', 'running_var'):
        mean = sum(getattr(device, name) for device in devices) / splits
        torch.testing.assert_close(getattr(layer, name), mean)
    assert int(layer.num_batches_tracked) == 2


def test_in_evaluation_it_is_ordinary():
    layer = filled(SplitBatchNorm2d(4, 3)).eval()
    ordinary = nn.BatchNorm2d(4).eval()
    ordinary.load_state_dict(layer.state_dict())
    images = torch.randn(5, 4, 3, 3)
    assert torch.equal(layer(images), ordinary(images))


def test_without_weights_and_statistics():
    layer = SplitBatchNorm2d(4, 2, affine=False, track_running_stats=False)
    ordinary = nn.BatchNorm2d(4, affine=False, track_running_stats=False)
    images = torch.randn(4, 4, 3, 3)
    expected = torch.cat([ordinary(images[:2]), ordinary(images[2:])])
    torch.testing.assert_close(layer(images), expected)


def test_half_precision_in_and_out_statistics_in_float32():
    layer, ordinary = SplitBatchNorm2d(4, 2), nn.BatchNorm2d(4)
    images = (torch.randn(4, 4, 8, 8) + 20).to(torch.bfloat16)
    result = layer(images)
    assert result.dtype == torch.bfloat16
    expected = torch.cat([ordinary(images[:2]), ordinary(images[2:])])
    torch.testing.assert_close(result, expected, atol=0.02, rtol=0.01)
    assert layer.running_mean.dtype == torch.float32


def test_a_batch_that_does_not_split_is_refused():
    with pytest.raises(ValueError, match='batch of 5 .* 2 equal'):
        SplitBatchNorm2d(4, 2)(torch.randn(5, 4, 3, 3))


def test_conversion_keeps_parameters_buffers_and_settings():
    model = nn.Sequential(
        nn.Conv2d(3, 4, 1),
        nn.Sequential(nn.BatchNorm2d(4, eps=1e-3, momentum=0.3)),
        nn.GroupNorm(2, 4),
    )
    filled(model[1][0]).eval()
    model[1][0].weight.requires_grad_(False)
    before = dict(model.named_parameters()) | dict(model.named_buffers())
    converted = split_batch_norm(model, 2)
    after = dict(model.named_parameters()) | dict(model.named_buffers())
    assert converted is model
    assert list(before) == list(after)
    assert all(before[name] is after[name] for name in before)
    layer = model[1][0]
    assert type(layer) is SplitBatchNorm2d
    assert (layer.eps, layer.momentum, layer.splits) == (1e-3, 0.3, 2)
    assert not layer.training
    assert type(model[2]) is nn.GroupNorm


def test_who_has_batch_norm():
    assert has_batch_norm(nn.Sequential(nn.Sequential(nn.BatchNorm2d(2))))
    assert has_batch_norm(nn.SyncBatchNorm(2))
    assert not has_batch_norm(nn.Sequential(nn.GroupNorm(1, 2)))
