import pytest
from torch import nn

from mmcp.models.trained_parameters import (
    set_frozen_parts_to_eval,
    train_only,
)


def make():
    return nn.Sequential(
        nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout()),
        nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)),
    )


def test_what_matches_a_pattern_is_trained():
    model = make()
    names = train_only(model, ['1.0.*', '0.*.bias'])
    assert names == ['0.0.bias', '0.1.bias', '1.0.weight', '1.0.bias']
    assert names == [k for k, p in model.named_parameters() if p.requires_grad]
    # Another call starts anew.
    assert train_only(model, ['0.0.weight']) == ['0.0.weight']
    assert [k for k, p in model.named_parameters() if p.requires_grad] == [
        '0.0.weight'
    ]


def test_parts_without_trained_parameters_do_not_train():
    model = make().train()
    train_only(model, ['1.*'])
    set_frozen_parts_to_eval(model)
    assert [k for k, m in model.named_modules() if m.training] == [
        '',
        '1',
        '1.0',
        '1.1',
    ]


def test_dropout_belongs_to_the_layers_around_it():
    model = make().train()
    train_only(model, ['0.0.*'])
    set_frozen_parts_to_eval(model)
    assert [k for k, m in model.named_modules() if m.training] == [
        '',
        '0',
        '0.0',
        '0.2',
    ]


def test_statistics_without_parameters_are_frozen():
    norm = nn.BatchNorm1d(2, affine=False)
    model = nn.Sequential(nn.Linear(2, 2), norm).train()
    set_frozen_parts_to_eval(model)
    assert not norm.training


def test_patterns_that_match_nothing_are_refused():
    with pytest.raises(ValueError, match='no patterns are given'):
        train_only(make(), [])
    message = r"'1.0.weights' matches none of the 8 .* nearest is '1.0.weight'"
    model = make()
    with pytest.raises(ValueError, match=message):
        train_only(model, ['0.*', '1.0.weights'])
    assert all(one.requires_grad for one in model.parameters())
    with pytest.raises(ValueError, match='none of the 0 parameters of ReLU$'):
        train_only(nn.ReLU(), ['*'])
