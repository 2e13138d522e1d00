"""Using a model in the middle of its training."""

import pytest
import torch
from mmengine.model import BaseDataPreprocessor
from torch import nn
from toy_pairs import MEAN, STD, Bag, Normalise

from mmcp.engine.inference import (
    evaluating,
    normalization,
    preprocess,
    unwrap,
)


def test_every_module_gets_its_own_mode_back():
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout(), nn.Linear(2, 2))
    model.train()
    model[0].eval()
    with evaluating(model):
        assert not any(part.training for part in model.modules())
        assert not model(torch.ones(3, 2)).requires_grad
    modes = [part.training for part in model.modules()]
    assert modes == [True, False, True, True]
    assert model(torch.ones(3, 2)).requires_grad


def test_modes_come_back_after_an_error():
    model = nn.Linear(1, 1)
    with pytest.raises(RuntimeError, match='on purpose'), evaluating(model):
        raise RuntimeError('on purpose')
    assert model.training


class Noise(BaseDataPreprocessor):
    """Draws at random."""

    def forward(self, data, training=False):
        return dict(inputs=data + torch.rand(3), training=training)


def test_draws_of_the_preprocessor_are_not_missing_afterwards():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    seen = preprocess(Bag(data_preprocessor=Noise()), torch.zeros(3))
    assert torch.equal(seen['inputs'], expected)
    assert seen['training'] is True
    assert torch.equal(torch.rand(3), expected)


def test_colours_of_a_preprocessor_with_and_without_normalisation():
    part = nn.Linear(1, 1)
    model = Bag(data_preprocessor=Normalise(), part=part)
    mean, std = normalization(model)
    assert mean.flatten().tolist() == list(MEAN)
    assert std.flatten().tolist() == list(STD)
    assert mean.shape == std.shape == (3, 1, 1)
    mean, std = normalization(Bag(data_preprocessor=Bag(), part=part))
    assert mean.flatten().tolist() == [0, 0, 0]
    assert std.flatten().tolist() == [1, 1, 1]


def test_a_model_that_is_not_wrapped_is_itself():
    model = nn.Linear(1, 1)
    assert unwrap(model) is model
