"""Tests of making models with a pyramid narrow."""

import copy

import pytest
from narrow_pyramid import map_ints, narrow_pyramid


def model(kind, **options):
    return dict(
        backbone=dict(type=kind, **options),
        neck=dict(in_channels=[256, 512], out_channels=128),
        head=dict(in_channels=[128, 128], convs=[dict(feat_channels=64)]),
        other=dict(in_channels=128),
    )


@pytest.mark.parametrize('kind', ['ResNet', 'mmdet.ResNet'])
def test_channels_of_a_resnet_are_divided(kind):
    found = model(kind)

    narrow_pyramid(found, ['head'])

    assert found == dict(
        backbone=dict(type=kind, base_channels=16),
        neck=dict(in_channels=[64, 128], out_channels=32),
        head=dict(in_channels=[32, 32], convs=[dict(feat_channels=16)]),
        other=dict(in_channels=128),
    )


def test_an_efficientnet_becomes_the_smallest():
    found = model('mmcp.EfficientNet', arch='b7', out_indices=(4, 5))

    narrow_pyramid(found, ['head'])

    assert found['backbone']['arch'] == 'b0'
    assert found['neck'] == dict(in_channels=[112, 320], out_channels=32)
    assert found['head']['in_channels'] == [32, 32]


def test_other_models_stay_as_they_are():
    narrow = model('ResNet')
    narrow['neck']['out_channels'] = 32
    for kept in (narrow, model('MobileNetV2')):
        before = copy.deepcopy(kept)
        narrow_pyramid(kept, ['head'])
        assert kept == before


def test_numbers_and_sequences():
    assert map_ints(3, lambda v: 2 * v) == 6
    assert map_ints((1, 2), lambda v: -v) == (-1, -2)
    assert map_ints([1], str) == ['1']
