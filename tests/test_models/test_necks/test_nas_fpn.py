import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.registry import MODELS
from torch import nn
from torch.nn import functional

from mmcp.models.necks.nas_fpn import NASFPN, Bottleneck, Resample

BN = dict(type='BN')
SILU = dict(type='SiLU')
CHANNELS = [6, 8, 10]


def make(**arguments):
    """A neck in evaluation whose statistics are not those of the start."""
    torch.manual_seed(0)
    arguments = {
        'in_channels': CHANNELS,
        'out_channels': 16,
        'stack_times': 2,
        **arguments,
    }
    return settled(MODELS.build(dict(type='mmcp.NASFPN', **arguments)))


def settled(module):
    for child in module.modules():
        if isinstance(child, nn.BatchNorm2d):
            nn.init.uniform_(child.running_mean, -0.5, 0.5)
            nn.init.uniform_(child.running_var, 0.5, 1.5)
            nn.init.uniform_(child.weight, 0.5, 1.5)
            nn.init.uniform_(child.bias, -0.5, 0.5)
    return module.eval()


def make_maps(side=32, channels=CHANNELS):
    torch.manual_seed(1)
    return [
        torch.randn(2, count, side >> i, side >> i)
        for i, count in enumerate(channels)
    ]


def resampled(x, steps):
    """Maxima of blocks, or repeated positions; sides divide evenly."""
    if steps <= 0:
        times = 2**-steps
        return x.repeat_interleave(times, 2).repeat_interleave(times, 3)
    block = 2**steps
    height, width = x.shape[2] // block, x.shape[3] // block
    return x.reshape(*x.shape[:2], height, block, width, block).amax((3, 5))


def written_out(neck, maps):
    """The pyramid by the names of NAS-FPN's figure, one line a merge."""
    p3, p4, p5 = (
        lateral.conv(x) for lateral, x in zip(neck.laterals, maps, strict=True)
    )
    p6 = resampled(p5, 1)
    p7 = resampled(p6, 1)
    for cell in neck.cells:

        def merge(number, *terms, cell=cell):
            module = cell.merges[number]
            total = sum(
                resampled(edge.conv(x), steps)
                for edge, (x, steps) in zip(module.edges, terms, strict=True)
            )
            return module.block(total * total.sigmoid())

        first = merge(0, (p4, 0), (p6, -2))
        second = merge(1, (p4, 0), (first, 0))
        out3 = merge(2, (p3, 0), (second, -1))
        out4 = merge(3, (second, 0), (out3, 1))
        out5 = merge(4, (out3, 2), (out4, 1), (p5, 0))
        out7 = merge(5, (second, 3), (out5, 2), (p7, 0))
        out6 = merge(6, (out5, 1), (out7, -1))
        p3, p4, p5, p6, p7 = out3, out4, out5, out6, out7
    return p3, p4, p5, p6, p7


@torch.no_grad()
def test_merges_are_those_of_nas_fpn():
    neck = make().double()
    maps = [x.double() for x in make_maps()]

    levels = neck(maps)

    assert [tuple(level.shape) for level in levels] == [
        (2, 16, 32 >> i, 32 >> i) for i in range(5)
    ]
    for level, expected in zip(levels, written_out(neck, maps), strict=True):
        torch.testing.assert_close(level, expected)


@torch.no_grad()
def test_a_bottleneck_is_resnets_with_a_projection_and_swish():
    torch.manual_seed(0)
    block = settled(Bottleneck(3, 8, 0.2, BN, SILU))
    x = torch.randn(2, 3, 5, 4)

    def conv(name, x, padding=0):
        module = getattr(block, name)
        x = functional.conv2d(x, module.conv.weight, padding=padding)
        norm = module.norm
        shape = (1, -1, 1, 1)
        x = (x - norm.running_mean.view(shape)) / torch.sqrt(
            norm.running_var.view(shape) + norm.eps
        )
        return x * norm.weight.view(shape) + norm.bias.view(shape)

    def swish(x):
        return x * x.sigmoid()

    inner = swish(conv('conv2', swish(conv('conv1', x)), padding=1))
    expected = swish(conv('shortcut', x) + conv('conv3', inner))

    assert inner.shape == (2, 2, 5, 4)
    torch.testing.assert_close(block(x), expected)


@torch.no_grad()
def test_drop_connect_leaves_out_the_residual_of_a_sample():
    torch.manual_seed(0)
    block = settled(Bottleneck(3, 8, 0.25, BN, SILU))
    x = torch.randn(64, 3, 2, 2)
    shortcut, whole = (
        block.shortcut(x),
        block.conv3(block.conv2(block.conv1(x))),
    )
    without = functional.silu(shortcut)
    scaled = functional.silu(shortcut + whole / 0.75)

    block.drop_path.train()
    found = block(x)

    dropped = [torch.equal(a, b) for a, b in zip(found, without, strict=True)]
    kept = [
        torch.allclose(a, b, atol=1e-6)
        for a, b in zip(found, scaled, strict=True)
    ]
    assert [a != b for a, b in zip(dropped, kept, strict=True)] == [True] * 64
    assert 4 <= sum(dropped) <= 30


def test_all_blocks_have_the_same_rate():
    neck = make(drop_path_rate=0.3)

    rates = [m.drop_prob for m in neck.modules() if hasattr(m, 'drop_prob')]

    assert rates == [0.3] * 14


X = [[1, 5, 2, 0, 7], [3, 4, 9, 8, 6], [0, 0, 1, 2, 3]]


@pytest.mark.parametrize(
    ('steps', 'size', 'expected'),
    [
        (0, (3, 5), X),
        (1, (2, 3), [[5, 9, 7], [0, 2, 3]]),
        (2, (1, 2), [[9, 7]]),
        (
            -1,
            (3, 9),
            [
                [1, 1, 5, 5, 2, 2, 0, 0, 7],
                [1, 1, 5, 5, 2, 2, 0, 0, 7],
                [3, 3, 4, 4, 9, 9, 8, 8, 6],
            ],
        ),
    ],
)
def test_resampling(steps, size, expected):
    x = torch.tensor(X, dtype=torch.float)[None, None]

    found = Resample(1, 1, steps, BN)(x, size)

    assert found[0, 0].tolist() == expected


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70))
@torch.no_grad()
def test_any_size_is_taken(height, width):
    neck = make(stack_times=1, out_channels=4)
    sizes = [
        (math.ceil(height / 2**i), math.ceil(width / 2**i)) for i in range(5)
    ]
    maps = [
        torch.zeros(1, count, *size)
        for count, size in zip(CHANNELS, sizes[:3], strict=True)
    ]

    assert [tuple(x.shape[2:]) for x in neck(maps)] == sizes


def test_coarser_levels_of_the_backbone_are_taken_where_there_are_some():
    neck = make(in_channels=[6, 8, 10, 12, 14])

    assert len(neck(make_maps(32, [6, 8, 10, 12, 14]))) == 5
    assert len(neck.laterals) == 5


def test_every_weight_takes_part():
    neck = make(drop_path_rate=0.0).train()

    # Two samples: P7 is 1x1 where P3 is 16x16.
    sum(level.square().sum() for level in neck(make_maps())).backward()

    assert all((p.grad != 0).any() for p in neck.parameters())


def test_weights_start_with_the_variance_of_the_fan_in():
    neck = make(out_channels=256, stack_times=1)
    neck.init_weights()

    for name, weight in neck.named_parameters():
        if weight.ndim == 4 and weight.numel() > 4000:
            std = math.sqrt(1 / weight[0].numel())
            assert weight.std().item() == pytest.approx(std, rel=0.1), name


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(in_channels=[]), '1 to 5 levels, got \\[\\]'),
        (dict(in_channels=[1] * 6), '1 to 5 levels'),
        (dict(in_channels=[1], out_channels=6), 'multiple of 4, got 6'),
        (dict(in_channels=[1], out_channels=0), 'multiple of 4, got 0'),
        (dict(in_channels=[1], stack_times=0), 'at least 1, got 0'),
    ],
)
def test_impossible_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        NASFPN(**arguments)


def test_another_number_of_maps_is_refused():
    with pytest.raises(ValueError, match='made for 3 maps, got 4'):
        make()(make_maps(32, [4, 6, 8, 10]))
