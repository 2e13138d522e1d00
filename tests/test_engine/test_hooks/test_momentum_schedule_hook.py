"""Tests of the schedule of the key encoder's momentum."""

import math
from types import SimpleNamespace

import pytest
from cp2_models import cp2, moco
from torch import nn

from mmcp.engine.hooks import MomentumScheduleHook


def run(model, hook, iterations, max_iters=10):
    """The momentum in each of some iterations."""
    runner = SimpleNamespace(model=model, iter=0, max_iters=max_iters)
    hook.before_train(runner)
    values = []
    for runner.iter in iterations:
        hook.before_train_iter(runner, 0)
        values.append(getattr(model, 'module', model).momentum)
    return values


@pytest.mark.parametrize('make', [cp2, moco])
def test_it_follows_a_half_cosine(make):
    values = run(make(momentum=0.9), MomentumScheduleHook(), range(11))
    assert values == pytest.approx(
        [1 - 0.1 * (1 + math.cos(math.pi * i / 10)) / 2 for i in range(11)]
    )
    assert values[0] == 0.9
    assert values[5] == pytest.approx(0.95)
    assert values[10] == 1
    assert values == sorted(values)


def test_it_can_end_elsewhere():
    values = run(cp2(momentum=0.99), MomentumScheduleHook(end=0.9), (0, 5, 10))
    assert values == pytest.approx([0.99, 0.945, 0.9])


def test_a_resumed_run_goes_on_with_the_same_values():
    whole = run(cp2(), MomentumScheduleHook(), range(10))
    assert run(cp2(), MomentumScheduleHook(), range(6, 10)) == whole[6:]


def test_it_finds_the_model_of_several_ranks():
    """DataParallel stands for the wrapper that ranks have."""
    model = cp2(momentum=0.5)
    run(nn.DataParallel(model), MomentumScheduleHook(), (5,))
    assert model.momentum == pytest.approx(0.75)


def test_other_models_are_refused():
    runner = SimpleNamespace(model=nn.Linear(1, 1))
    with pytest.raises(TypeError, match='mmcp.MoCo, but got Linear'):
        MomentumScheduleHook().before_train(runner)


def test_an_end_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r'in \[0, 1\], but is 1.1'):
        MomentumScheduleHook(end=1.1)
