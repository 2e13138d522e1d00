"""Tests of resuming in the middle of an epoch."""

import logging

import pytest
import torch
from mmengine.hooks import CheckpointHook
from torch.utils.data import DataLoader, IterableDataset
from toy import Numbers, make_runner, run

from mmcp.engine.hooks import MidEpochResumeHook
from mmcp.engine.hooks.mid_epoch_resume_hook import without_first_batches


def saved_at(tmp_path, iteration, **options):
    """Trains with a checkpoint at one iteration; returns its path."""
    every = CheckpointHook(interval=iteration, by_epoch=False)
    runner = make_runner(
        tmp_path, every, MidEpochResumeHook(), by_epoch=True, **options
    )
    runner.train()
    return runner.model.seen, str(tmp_path / f'iter_{iteration}.pth')


def resumed(tmp_path, path, caplog=None, **options):
    runner = make_runner(
        tmp_path,
        MidEpochResumeHook(),
        by_epoch=True,
        resume=True,
        load_from=path,
        **options,
    )
    runner.logger.addHandler(caplog.handler) if caplog else None
    return runner


@pytest.mark.parametrize('workers', [0, 1])
def test_only_the_rest_of_the_epoch_is_seen(tmp_path, workers):
    whole, path = saved_at(tmp_path, 8)
    runner = resumed(tmp_path / 'b', path, workers=workers)
    assert run(runner) == whole[8:]
    assert (runner.epoch, runner.iter) == (3, 18)


def test_without_the_hook_the_epoch_starts_over(tmp_path):
    _, path = saved_at(tmp_path, 8)
    runner = make_runner(
        tmp_path / 'b', by_epoch=True, resume=True, load_from=path
    )
    assert len(run(runner)) == 12
    assert runner.iter == 20


def test_at_the_border_of_epochs_nothing_changes(tmp_path, caplog):
    whole, path = saved_at(tmp_path, 6)
    # mmengine counts the epoch as begun, unless it ended before saving.
    content = torch.load(path, weights_only=False)
    content['meta']['epoch'] = 1
    torch.save(content, path)
    runner = resumed(tmp_path / 'b', path, caplog)
    assert run(runner) == whole[6:]
    assert not [r for r in caplog.records if 'Epoch 2' in r.getMessage()]


def test_another_length_starts_the_epoch_over_with_one_warning(
    tmp_path, caplog
):
    _, path = saved_at(tmp_path, 8)
    runner = resumed(tmp_path / 'b', path, caplog, length=20)
    run(runner)
    warnings = [
        record.getMessage()
        for record in caplog.records
        if record.levelno == logging.WARNING and 'starts over' in record.msg
    ]
    assert warnings == [
        'Epoch 2 starts over: it has 10 batches now, and had 6 in the '
        'checkpoint (8 iterations).'
    ]
    assert len(runner.model.seen) == 20


def test_iteration_based_training_is_left_to_mmengine(tmp_path):
    hook = MidEpochResumeHook()
    runner = make_runner(tmp_path, hook, by_epoch=False, length=4, steps=7)
    assert len(run(runner)) == 7


def test_loader_keeps_its_settings():
    loader = DataLoader(
        Numbers(10),
        batch_size=3,
        num_workers=2,
        prefetch_factor=4,
        timeout=5,
        collate_fn=tuple,
        worker_init_fn=print,
        generator=torch.Generator(),
    )
    rest = without_first_batches(loader, 1)
    assert len(rest) == 3
    names = 'dataset num_workers prefetch_factor timeout collate_fn'.split()
    names += ['worker_init_fn', 'generator', 'pin_memory']
    for name in names:
        assert getattr(rest, name) is getattr(loader, name)
    plain = DataLoader(Numbers(10), batch_size=3)
    batches = [b['numbers'].tolist() for b in without_first_batches(plain, 2)]
    assert batches == [[6.0, 7.0, 8.0], [9.0]]


def test_stream_without_length_is_refused():
    class Stream(IterableDataset):
        def __iter__(self):
            yield from range(3)

    with pytest.raises(TypeError, match='batch sampler'):
        without_first_batches(DataLoader(Stream(), batch_size=None), 1)
