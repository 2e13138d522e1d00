"""Tests of stopping a training with a signal."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from mmengine.hooks import EMAHook
from toy import Call, make_runner, run, send

from mmcp.checkpoints import read_checkpoint
from mmcp.engine.hooks import (
    InterruptHook,
    MidEpochResumeHook,
    TrainingInterrupted,
    interrupt_hook,
)
from mmcp.engine.signals import SIGNALS

EACH_SIGNAL = pytest.mark.parametrize('signum', SIGNALS)


@pytest.fixture(autouse=True)
def handlers_are_given_back():
    before = [signal.getsignal(signum) for signum in SIGNALS]
    yield
    assert [signal.getsignal(signum) for signum in SIGNALS] == before


def interrupt(tmp_path, stage, index, *, signum=signal.SIGINT, **options):
    """Trains until the signal; returns the numbers seen and the exception."""
    hooks = [InterruptHook(), Call(stage, index, send(signum))]
    hooks += options.pop('hooks', [])
    runner = make_runner(tmp_path, *hooks, **options)
    with pytest.raises(TrainingInterrupted) as caught:
        runner.train()
    return runner, caught.value


def resume(tmp_path, **options):
    options.setdefault('hooks', [MidEpochResumeHook()])
    hooks = options.pop('hooks')
    return make_runner(tmp_path, *hooks, resume=True, **options)


@EACH_SIGNAL
@pytest.mark.parametrize('stage', ['before_train_iter', 'after_train_iter'])
def test_iteration_based_training_goes_on_exactly(tmp_path, stage, signum):
    options = dict(by_epoch=False, steps=11)
    whole = run(make_runner(tmp_path / 'whole', **options))

    runner, stop = interrupt(tmp_path, stage, 4, signum=signum, **options)
    assert stop.signum == signum
    assert stop.checkpoint == tmp_path / 'interrupted.pth'
    assert runner.model.seen == whole[:5]
    meta = read_checkpoint(stop.checkpoint)['meta']
    assert (meta['epoch'], meta['iter']) == (0, 5)

    second = resume(tmp_path, **options)
    assert run(second) == whole[5:]
    assert second.iter == 11


@pytest.mark.parametrize('index', [0, 3, 7, 8])
def test_epoch_based_training_goes_on_in_the_middle(tmp_path, index):
    options = dict(by_epoch=True, steps=3)
    whole = run(make_runner(tmp_path / 'whole', **options))
    assert [sorted(sum(whole[i : i + 6], [])) for i in (0, 6, 12)] == (
        [list(range(12))] * 3
    )

    runner = make_runner(
        tmp_path,
        InterruptHook(),
        MidEpochResumeHook(),
        CallAtIteration(index, send(signal.SIGINT)),
        **options,
    )
    with pytest.raises(TrainingInterrupted):
        runner.train()
    assert runner.model.seen == whole[: index + 1]

    second = resume(tmp_path, **options)
    assert run(second) == whole[index + 1 :]
    assert (second.epoch, second.iter) == (3, 18)


class CallAtIteration(Call):
    """Calls at an iteration counted over all epochs."""

    def __init__(self, index, function):
        super().__init__('after_train_iter', index, function)

    def _at(self, runner, batch_idx=None, **_):
        super()._at(runner)


def test_signal_in_the_last_iteration_of_an_epoch_ends_the_epoch(tmp_path):
    options = dict(by_epoch=True, steps=3, val_interval=1)
    hook = CallAtIteration(5, send(signal.SIGINT))
    runner = make_runner(tmp_path, InterruptHook(), hook, **options)
    with pytest.raises(TrainingInterrupted):
        runner.train()
    content = read_checkpoint(tmp_path / 'interrupted.pth')
    assert (content['meta']['epoch'], content['meta']['iter']) == (1, 6)
    # The schedule by epoch has taken its step.
    assert content['param_schedulers'][0]['last_step'] == 1

    second = resume(tmp_path, **options)
    run(second)
    assert (second.epoch, second.iter) == (3, 18)
    assert len(second.model.seen) == 12


@pytest.mark.parametrize('by_epoch', [False, True])
def test_validation_is_cut_short(tmp_path, by_epoch):
    batches = []
    note = Call('after_val_iter', 2, lambda runner: batches.append('last'))
    runner, stop = interrupt(
        tmp_path,
        'after_val_iter',
        1,
        hooks=[note],
        by_epoch=by_epoch,
        steps=2 if by_epoch else 12,
        val_interval=1 if by_epoch else 6,
    )
    assert batches == []
    meta = read_checkpoint(stop.checkpoint)['meta']
    assert (meta['epoch'], meta['iter']) == (int(by_epoch), 6)
    assert len(runner.model.seen) == 6


def test_signal_in_the_last_validation_batch_counts(tmp_path):
    _, stop = interrupt(
        tmp_path,
        'after_val_epoch',
        6,
        by_epoch=False,
        steps=12,
        val_interval=6,
    )
    assert read_checkpoint(stop.checkpoint)['meta']['iter'] == 6


def test_averaged_weights_of_a_validation_are_put_back(tmp_path):
    options = dict(by_epoch=False, steps=6, val_interval=6)
    whole = make_runner(tmp_path / 'whole', EMAHook(momentum=0.5), **options)
    whole.train()
    whole.save_checkpoint(str(tmp_path), 'expected.pth', by_epoch=False)

    _, stop = interrupt(
        tmp_path,
        'before_val_iter',
        1,
        hooks=[EMAHook(momentum=0.5)],
        **options,
    )
    expected = read_checkpoint(tmp_path / 'expected.pth')
    saved = read_checkpoint(stop.checkpoint)
    averaged = saved['state_dict']['weight']
    trained = saved['ema_state_dict']['module.weight']
    assert torch.equal(averaged, expected['state_dict']['weight'])
    assert torch.equal(trained, expected['ema_state_dict']['module.weight'])
    assert not torch.equal(averaged, trained)


def test_training_without_a_signal_is_left_alone(tmp_path):
    options = dict(by_epoch=True, steps=2, val_interval=1)
    whole = run(make_runner(tmp_path / 'a', **options))
    hooks = [InterruptHook(), MidEpochResumeHook()]
    assert run(make_runner(tmp_path / 'b', *hooks, **options)) == whole
    assert not (tmp_path / 'b' / 'interrupted.pth').exists()


def test_checkpoint_is_complete_or_absent(tmp_path, monkeypatch):
    (tmp_path / 'interrupted.pth').write_text('the one before')
    monkeypatch.setattr(
        interrupt_hook.os, 'replace', lambda *_: pytest.fail('reached')
    )
    runner = make_runner(
        tmp_path,
        InterruptHook(),
        Call('after_train_iter', 1, send(signal.SIGINT)),
        Call('before_save_checkpoint', 1, fail),
        by_epoch=False,
    )
    with pytest.raises(OSError, match='disk full'):
        runner.train()
    assert (tmp_path / 'interrupted.pth').read_text() == 'the one before'
    runner.hooks[-1]._listener.stop()


def fail(runner):
    raise OSError('disk full')


def test_last_checkpoint_names_the_file(tmp_path):
    interrupt(tmp_path, 'after_train_iter', 0, by_epoch=False)
    path = Path((tmp_path / 'last_checkpoint').read_text())
    assert path == tmp_path / 'interrupted.pth'
    assert not list(tmp_path.glob('*.tmp'))


def test_other_threads_cannot_listen(tmp_path):
    runner = make_runner(tmp_path, InterruptHook(), by_epoch=False)
    thread = threading.Thread(target=runner.train)
    thread.start()
    thread.join()
    assert runner.iter == 3


@pytest.mark.parametrize('interval', [0, -1])
def test_interval_is_checked(interval):
    with pytest.raises(ValueError, match=f'at least 1, got {interval}'):
        InterruptHook(interval)


# What the operating system does with a second signal needs a process.
SCRIPT = """
import os, signal, sys, time
sys.path.insert(0, {tests!r})
from toy import Call, make_runner
from mmcp.engine.hooks import InterruptHook

def wait(runner):
    print('waiting', flush=True)
    time.sleep({seconds})

runner = make_runner({folder!r}, InterruptHook(),
                     Call('before_train_iter', 1, wait), by_epoch=False,
                     workers={workers}, steps=50)
try:
    runner.train()
except BaseException as error:
    print(type(error).__name__, flush=True)
"""


def start(tmp_path, *, seconds, workers=0, **environment):
    script = SCRIPT.format(
        tests=str(Path(__file__).parents[2]),
        folder=str(tmp_path),
        seconds=seconds,
        workers=workers,
    )
    process = subprocess.Popen(
        [sys.executable, '-c', script],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **environment},
        start_new_session=True,
    )
    for line in process.stdout:
        if line == 'waiting\n':
            return process
    raise AssertionError('the training did not start')


@pytest.mark.slow
@EACH_SIGNAL
def test_second_signal_ends_at_once(tmp_path, signum):
    process = start(tmp_path, seconds=120)
    process.send_signal(signum)
    assert 'once more' in ''.join([process.stdout.readline() for _ in '12'])
    process.send_signal(signum)
    process.wait(timeout=60)
    assert process.returncode == -signum
    assert not (tmp_path / 'interrupted.pth').exists()


@pytest.mark.slow
def test_echo_under_torchrun_is_not_a_second_signal(tmp_path):
    process = start(tmp_path, seconds=2, TORCHELASTIC_RUN_ID='x')
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
    output, _ = process.communicate(timeout=60)
    assert 'TrainingInterrupted' in output
    assert (tmp_path / 'interrupted.pth').exists()


@pytest.mark.slow
@EACH_SIGNAL
def test_signal_to_the_loading_processes_too(tmp_path, signum):
    process = start(tmp_path, seconds=2, workers=2)
    os.killpg(process.pid, signum)  # as a terminal and Slurm do
    output, _ = process.communicate(timeout=60)
    assert 'TrainingInterrupted' in output
    assert 'DataLoader worker' not in output
    content = read_checkpoint(tmp_path / 'interrupted.pth')
    assert content['meta']['iter'] == 2
