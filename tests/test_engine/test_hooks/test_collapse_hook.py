"""Stopping a pretraining that has collapsed."""

import math
from types import SimpleNamespace

import pytest
import torch
from toy_pairs import make_runner

from mmcp.engine.failures import explain
from mmcp.engine.hooks import CollapseHook, TrainingCollapsed, collapse_hook

OPTIONS = dict(patience=3, max_nonfinite=2, interval=1)


def watch(values, folder, **options):
    """Shows a hook values of std_pooled or, if negative, a broken loss.

    Returns:
        Number of iterations until it stops the training, and the message.
    """
    hook = CollapseHook(**OPTIONS | options)
    hook.before_train(None)
    for step, value in enumerate(values):
        loss = math.nan if value < 0 else 1.0
        outputs = dict(loss=torch.tensor(loss), std_pooled=torch.tensor(value))
        runner = SimpleNamespace(work_dir=str(folder), iter=step)
        try:
            hook.after_train_iter(runner, step, None, outputs)
        except TrainingCollapsed as error:
            return step + 1, str(error)
    return None, ''


@pytest.mark.parametrize(
    ('values', 'stop'),
    [
        ([0.0] * 2, None),
        ([0.0] * 3, 3),
        ([0.0, 0.0, 0.1] * 3, None),
        ([0.1, 9e-4, 0.0, 9e-4, 0.1], 4),
        ([1e-3] * 9, None),
        ([0.1, -1, -1], 3),
        ([-1, 0.1, -1, 0.1, -1], None),
    ],
)
def test_only_enough_bad_iterations_in_a_row_stop_it(tmp_path, values, stop):
    assert watch(values, tmp_path)[0] == stop


@pytest.mark.parametrize('loss', [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize('name', ['loss', 'loss_dense'])
def test_any_loss_that_is_not_finite_counts(tmp_path, loss, name):
    hook = CollapseHook(**OPTIONS | dict(max_nonfinite=1))
    hook.before_train(None)
    runner = SimpleNamespace(work_dir=str(tmp_path), iter=4)
    with pytest.raises(TrainingCollapsed, match='iteration 5, since the loss'):
        hook.after_train_iter(runner, 4, None, {name: torch.tensor(loss)})


def test_monitors_that_do_not_apply_are_no_reason(tmp_path):
    hook = CollapseHook(**OPTIONS | dict(max_nonfinite=1))
    hook.before_train(None)
    outputs = dict(loss=torch.tensor(1.0), cos_fg_bg=torch.tensor(math.nan))
    runner = SimpleNamespace(work_dir=str(tmp_path), iter=0)
    for _ in range(5):
        hook.after_train_iter(runner, 0, None, outputs)


def test_the_message_says_what_to_look_at(tmp_path):
    _, text = watch([2e-5] * 3, tmp_path)
    for part in (
        'std_pooled is 2.0e-05 and has been below 0.001 for 3 iterations',
        'learning rate',
        'bn_splits',
        'queue',
        'composed_pairs',
        'No checkpoint was saved before',
    ):
        assert part in text
    (tmp_path / 'last_checkpoint').write_text('some/epoch_3.pth')
    _, text = watch([-1] * 2, tmp_path)
    assert 'has not been finite for 2 iterations' in text
    assert 'The last checkpoint is some/epoch_3.pth' in text


def test_tools_show_the_message_without_a_traceback():
    assert explain(TrainingCollapsed('told')) == 'told'


@pytest.mark.parametrize(
    ('others', 'stop'), [((2, 0), 2), ((0, 3), 2), ((1, 2), None)]
)
def test_ranks_stop_together_at_an_agreement(
    tmp_path, monkeypatch, others, stop
):
    """A rank without any trouble of its own stops as well."""

    def all_reduce(counts, op):
        assert op == 'max'
        counts.copy_(torch.maximum(counts, torch.tensor(others)))

    monkeypatch.setattr(collapse_hook, 'get_world_size', lambda: 2)
    monkeypatch.setattr(collapse_hook, 'all_reduce', all_reduce)
    assert watch([0.1] * 9, tmp_path, interval=2)[0] == stop


def test_in_a_training(tmp_path):
    # More than any features of unit norm can have.
    hook = dict(type='mmcp.CollapseHook', min_std=1.0, patience=2)
    runner = make_runner(tmp_path, hook, epochs=2)
    with pytest.raises(TrainingCollapsed, match='iteration 2, since all'):
        runner.train()


def test_a_healthy_training_is_left_alone(tmp_path):
    runner = make_runner(tmp_path, CollapseHook(patience=1, max_nonfinite=1))
    runner.train()
    assert runner.iter == 3


@pytest.mark.parametrize(
    'name', ['min_std', 'patience', 'max_nonfinite', 'interval']
)
def test_bad_arguments(name):
    with pytest.raises(ValueError, match=f'{name} must be > 0, but is 0'):
        CollapseHook(**{name: 0})
