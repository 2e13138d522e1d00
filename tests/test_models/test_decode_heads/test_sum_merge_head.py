import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch.nn import functional

from mmcp.models.decode_heads import SumMergeHead
from mmcp.registry import MODELS


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmseg')


def make(**options):
    head = dict(
        type='mmcp.SumMergeHead',
        in_channels=[4, 4, 4],
        in_index=[0, 1, 2],
        channels=6,
        num_classes=5,
        norm_cfg=dict(type='BN'),
        loss_decode=dict(type='CrossEntropyLoss'),
    )
    return MODELS.build(head | options)


def pyramid(*sizes, channels=4, batch=2):
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(batch, channels, *size, generator=generator)
        for size in sizes
    ]


def test_constant_levels_give_their_sum():
    levels = [
        torch.full((1, 4, side, side), value)
        for side, value in ((8, 1.0), (4, 10.0), (2, 100.0))
    ]

    assert torch.equal(make().merge(levels), torch.full((1, 4, 8, 8), 111.0))


def test_levels_are_resized_bilinearly_to_the_first():
    ramp = torch.tensor([[0.0, 4.0]]).expand(1, 1, 2, 2)
    levels = [torch.zeros(1, 1, 4, 4), ramp]
    head = make(in_channels=[1, 1], in_index=[0, 1], channels=1)

    # Corners are not aligned: samples lie at -0.25, 0.25, 0.75 and 1.25.
    expected = torch.tensor([0.0, 1.0, 3.0, 4.0]).expand(1, 1, 4, 4)
    assert torch.equal(head.merge(levels), expected)


def test_sizes_need_not_be_multiples():
    levels = pyramid((13, 9), (7, 5), (3, 2))

    merged = make().merge(levels)

    assert merged.shape == (2, 4, 13, 9)
    expected = levels[0].clone()
    for level in levels[1:]:
        expected += functional.interpolate(level, (13, 9), mode='bilinear')
    assert torch.allclose(merged, expected)


@pytest.mark.parametrize('index', [[1, 2], [2, 0]])
def test_in_index_chooses_levels_and_the_resolution(index):
    levels = pyramid((8, 8), (4, 4), (2, 2))
    head = make(in_channels=[4, 4], in_index=index)

    first, other = (levels[i] for i in index)
    expected = first + functional.interpolate(
        other, first.shape[2:], mode='bilinear'
    )
    assert torch.allclose(head.merge(levels), expected)
    assert head(levels).shape == (2, 5, *first.shape[2:])


@pytest.mark.parametrize('count', [0, 1, 3])
def test_convolutions_and_a_classifier_follow_the_sum(count):
    channels = 6 if count else 4
    head = make(num_convs=count, channels=channels).eval()
    levels = pyramid((8, 8), (4, 4), (2, 2))

    features = head.merge(levels)
    for number in range(count):
        conv = head.convs[number]
        assert conv.conv.in_channels == (6 if number else 4)
        assert conv.conv.kernel_size == (3, 3)
        features = conv.activate(conv.bn(conv.conv(features)))
    assert len(head.convs) == count
    assert features.shape == (2, channels, 8, 8)
    assert torch.allclose(head(levels), head.conv_seg(features))


def test_loss_reaches_every_level_and_parameter():
    head = make(dropout_ratio=0)
    levels = [one.requires_grad_() for one in pyramid((8, 8), (4, 4), (2, 2))]
    labels = torch.arange(2 * 32 * 32).reshape(2, 32, 32) % 5
    samples = [
        SegDataSample(gt_sem_seg=PixelData(data=one[None])) for one in labels
    ]

    loss = head.loss(levels, samples, None)['loss_ce']
    loss.backward()

    logits = functional.interpolate(head(levels), (32, 32), mode='bilinear')
    assert torch.allclose(loss, functional.cross_entropy(logits, labels))
    for one in [*levels, *head.parameters()]:
        assert one.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(in_channels=[4, 4]), 'in_channels has 2 numbers, but in_index'),
        (dict(in_channels=[4, 8, 4]), r'same number .* is \(4, 8, 4\)'),
        (dict(in_channels=4), 'one number a level, but are 4 and'),
        (dict(in_index=0), 'one number a level'),
        (dict(num_convs=-1), 'must not be negative: -1'),
        (dict(num_convs=0), 'the 4 channels .* but channels is 6'),
    ],
)
def test_what_cannot_be_added_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_it_is_built_by_its_name():
    assert isinstance(make(), SumMergeHead)
