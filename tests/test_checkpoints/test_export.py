"""Tests of naming weights for other libraries."""

import hashlib

import pytest
import torch
from checkpoint_layouts import (
    fcn_head,
    mmcp_cp2,
    mmpretrain_simclr,
    moco_v2,
    random_resnet,
    under,
    vit,
)
from checkpoint_models import detector_file

from mmcp.checkpoints import CheckpointError, sort_weights
from mmcp.checkpoints.export import (
    export_meta,
    export_weights,
    file_hash,
    fit_positions,
)


def test_names_and_values():
    weights = sort_weights(mmcp_cp2(random_resnet()), 'a/b.pth')
    backbone, head = random_resnet(), under('decode_head.', fcn_head())
    for target, part, expected in (
        ('mmseg', None, under('backbone.', backbone) | head),
        ('mmseg', 'backbone', under('backbone.', backbone)),
        ('mmdet', None, under('backbone.', backbone)),
        ('backbone', None, backbone),
    ):
        state = export_weights(weights, target, part)
        assert set(state) == set(expected)
        assert all(torch.equal(state[n], expected[n]) for n in expected)
    assert export_meta(weights) == dict(source='b.pth', layout='mmcp-cp2')


def test_the_source_is_not_shared():
    weights = sort_weights(random_resnet(), 'x')
    export_weights(weights)['backbone.conv1.weight'].zero_()
    expected = random_resnet()['conv1.weight']
    assert torch.equal(weights.backbone['conv1.weight'], expected)


def test_a_neck_goes_with_its_head_only():
    content = mmcp_cp2(random_resnet())
    neck = {'encoder_q.neck.conv.weight': torch.ones(2)}
    content['state_dict'] |= neck
    weights = sort_weights(content, 'x')
    for part in (None, 'backbone+head'):
        state = export_weights(weights, 'mmseg', part)
        assert torch.equal(state['neck.conv.weight'], torch.ones(2))
    assert 'neck.conv.weight' not in export_weights(weights, part='backbone')
    weights = sort_weights(mmpretrain_simclr(random_resnet()), 'x')
    assert weights.neck
    roots = {name.split('.')[0] for name in export_weights(weights)}
    assert roots == {'backbone'}


@pytest.mark.parametrize('target', ['mmseg', 'mmdet'])
def test_the_pyramid_of_a_detector_if_asked_for(target):
    content = detector_file()
    weights = sort_weights(content, 'x')

    state = export_weights(weights, target, 'backbone+neck')

    expected = {
        name: value
        for name, value in content['state_dict'].items()
        if name.startswith(('backbone.', 'neck.'))
    }
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[n], expected[n]) for n in expected)
    unasked = export_weights(weights, target)
    assert {name.split('.')[0] for name in unasked} == {'backbone'}


def test_what_is_not_there_is_not_exported():
    weights = sort_weights(moco_v2(random_resnet()), 'moco.pth')
    with pytest.raises(CheckpointError, match=r'^moco\.pth .* holds no head'):
        export_weights(weights, 'mmseg', 'backbone+head')
    with pytest.raises(ValueError, match='mmdet has no head'):
        export_weights(weights, 'mmdet', 'backbone+head')
    with pytest.raises(ValueError, match='mmseg has no projector'):
        export_weights(weights, 'mmseg', 'backbone+projector')
    with pytest.raises(
        ValueError, match="mmseg, mmdet, backbone, but is 'd2'"
    ):
        export_weights(weights, 'd2')


def test_positions():
    state = export_weights(sort_weights(vit(), 'x'))
    assert fit_positions(state, (8, 20)) == (2, 5)
    assert state['backbone.pos_embed'].shape == (1, 11, 384)
    with pytest.raises(CheckpointError, match='square grid'):
        fit_positions(state, (8, 8))
    with pytest.raises(ValueError, match='18x8 is no whole number'):
        fit_positions(export_weights(sort_weights(vit(), 'x')), (18, 8))


def test_hash(tmp_path):
    path = tmp_path / 'file'
    path.write_bytes(bytes(range(256)) * 10000)
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    assert file_hash(path) == expected
