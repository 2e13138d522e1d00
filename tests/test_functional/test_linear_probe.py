"""Linear classification of frozen features."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from mmcp.functional.linear_probe import fit_linear


def cloud(seed, per_class=20):
    """Three classes of points that overlap a little."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(3).repeat(per_class)
    centres = 2 * torch.randn(3, 4, generator=generator)
    noise = torch.randn(len(labels), 4, generator=generator)
    return centres[labels] + noise, labels


def by_scipy(features, labels, weight_decay):
    """The same minimum, found by another program in float64."""
    scaled = (features - features.mean(0)) / features.std(0, correction=0)
    scaled = scaled.double()

    def loss(flat):
        weight, bias = torch.from_numpy(flat).split([12, 3])
        weight = weight.view(3, 4).requires_grad_()
        bias = bias.clone().requires_grad_()
        value = F.cross_entropy(F.linear(scaled, weight, bias), labels)
        value = value + weight_decay / 2 * weight.square().sum()
        value.backward()
        gradient = torch.cat([weight.grad.flatten(), bias.grad])
        return value.item(), gradient.numpy()

    found = minimize(loss, np.zeros(15), jac=True, tol=1e-12).x
    return torch.from_numpy(found[:12]).view(3, 4).float()


@pytest.mark.parametrize('weight_decay', [0.01, 1.0])
def test_it_is_the_minimum(weight_decay):
    features, labels = cloud(0)
    found = fit_linear(
        features, labels, num_classes=3, weight_decay=weight_decay
    )
    expected = by_scipy(features, labels, weight_decay)
    torch.testing.assert_close(found.weight, expected, atol=5e-3, rtol=0)


def test_separable_classes_are_told_apart():
    corners = torch.eye(3).repeat(4, 1) + 0.01 * torch.randn(12, 3)
    labels = torch.tensor([2, 0, 1] * 4)
    classify = fit_linear(corners, labels, num_classes=5)
    assert classify(torch.eye(3) * 0.9).tolist() == [2, 0, 1]
    assert not classify.weight.requires_grad
    assert classify(torch.empty(0, 3)).shape == (0,)


@given(
    seed=st.integers(0, 100),
    scale=st.sampled_from([1e-2, 1e2]),
    shift=st.sampled_from([-5.0, 5.0]),
)
def test_units_of_the_features_do_not_matter(seed, scale, shift):
    features, labels = cloud(seed)
    asked, _ = cloud(seed + 1)
    plain = fit_linear(features, labels, num_classes=3)(asked)
    moved = fit_linear(features * scale + shift, labels, num_classes=3)
    same = moved(asked * scale + shift) == plain
    assert same.float().mean() > 0.95


def test_a_constant_feature_does_no_harm():
    features, labels = cloud(0)
    constant = torch.cat([features, torch.full((len(features), 1), 7.0)], 1)
    classify = fit_linear(constant, labels, num_classes=3)
    expected = fit_linear(features, labels, num_classes=3)
    assert torch.equal(classify(constant), expected(features))


def test_it_works_where_gradients_are_off():
    features, labels = cloud(0)
    with torch.no_grad():
        found = fit_linear(features, labels, num_classes=3)
        assert not torch.is_grad_enabled()
    expected = fit_linear(features, labels, num_classes=3)
    assert torch.equal(found.weight, expected.weight)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(weight_decay=-1), 'weight_decay must be >= 0'),
        (dict(max_iter=0), 'max_iter must be >= 1'),
        (dict(features=torch.empty(0, 4)), 'no features'),
    ],
)
def test_bad_arguments(options, message):
    features, labels = cloud(0)
    options = dict(features=features, labels=labels, num_classes=3) | options
    with pytest.raises(ValueError, match=message):
        fit_linear(**options)
