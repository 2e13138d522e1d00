"""Tests of the end of the pasting in a training."""

from types import SimpleNamespace

import pytest
import torch
from mmdet.datasets.samplers import AspectRatioBatchSampler
from mmengine.dataset import DefaultSampler, RepeatDataset, pseudo_collate
from mmengine.dataset import InfiniteSampler as PlainInfiniteSampler
from mmengine.hooks import CheckpointHook
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, init_default_scope
from mmengine.runner import Runner
from paste_samples import rectangle, sample
from torch.utils.data import ConcatDataset, DataLoader

from mmcp.datasets import CopyPasteDataset
from mmcp.datasets.samplers import InfiniteSampler
from mmcp.engine.hooks import StopPastingHook

PACK = [dict(type='mmcp.PackDetInputs', meta_keys=())]
BATCH = 2


class Images:
    """Images with a number of objects each."""

    def __init__(self, count, objects):
        box = rectangle(4, 4, 12, 12)
        self.images = [sample([box] * objects) for _ in range(count)]
        self.metainfo = dict(classes=('cat', 'dog'))

    def full_init(self):
        pass

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return dict(self.images[index])

    def get_data_info(self, index):
        return dict(width=1, height=2)


def config(count=5, pipeline=PACK):
    return dict(
        type='mmcp.CopyPasteDataset',
        dataset=Images(count, 0),
        source=Images(1, 1),
        copy_paste=dict(num_pasted='all'),
        pipeline=pipeline,
    )


def pasting(**kwargs):
    """A data set whose samples have one object if it was pasted."""
    return DATASETS.build(config(**kwargs))


def loader_of(dataset, sampler=InfiniteSampler, workers=0, **kwargs):
    return DataLoader(
        dataset,
        batch_size=BATCH,
        sampler=sampler(dataset),
        num_workers=workers,
        collate_fn=pseudo_collate,
        **kwargs,
    )


def counts_in(batch):
    return [len(each.gt_instances) for each in batch['data_samples']]


def objects_seen(hook, loader, iterations, start=0):
    """The objects of every batch of a training; starts over at the end."""
    runner = SimpleNamespace(train_dataloader=loader, iter=start)
    hook.before_train(runner)
    seen = []
    batches = iter(loader)
    while runner.iter < iterations:
        batch = next(batches, None)
        if batch is None:
            batches = iter(loader)
            continue
        hook.before_train_iter(runner, runner.iter, batch)
        seen.append(counts_in(batch))
        runner.iter += 1
    return seen


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmdet')


@pytest.mark.parametrize('workers', [0, 2])
def test_the_first_sample_of_the_iteration_is_the_first_without(workers):
    loader = loader_of(pasting(), workers=workers)
    seen = objects_seen(StopPastingHook(3), loader, 6)
    assert seen == [[1, 1]] * 3 + [[0, 0]] * 3


@pytest.mark.parametrize('start', [2, 3, 5])
def test_a_resumed_run_stops_at_the_same_iteration(start):
    loader = loader_of(pasting())
    loader.sampler.skip(start * BATCH)
    seen = objects_seen(StopPastingHook(3), loader, 6, start)
    assert seen == ([[1, 1]] * 3 + [[0, 0]] * 3)[start:]


def test_a_second_training_begins_with_pasting_again():
    hook, loader = StopPastingHook(2), loader_of(pasting())
    for _ in range(2):
        seen = objects_seen(hook, loader, 4)
        assert seen == [[1, 1]] * 2 + [[0, 0]] * 2


def test_an_epoch_of_an_endless_sampler_may_end_within_a_batch():
    seen = objects_seen(StopPastingHook(epoch=1), loader_of(pasting()), 5)
    assert seen == [[1, 1], [1, 1], [1, 0], [0, 0], [0, 0]]


def test_an_epoch_of_a_finite_sampler_is_a_pass_of_the_loader():
    loader = loader_of(pasting(), DefaultSampler)
    seen = objects_seen(StopPastingHook(epoch=1), loader, 6)
    # The first batch of the second pass was made before the hook was called.
    assert seen == [[1, 1], [1, 1], [1], [1, 1], [0, 0], [0]]


@pytest.mark.parametrize(
    ('sampler', 'kwargs', 'point'),
    [
        # 5 images, 3 ranks with batches of 2.
        (InfiniteSampler, dict(iteration=4), (4, 24)),
        (InfiniteSampler, dict(epoch=3), (3, 15)),
        (InfiniteSampler, dict(epoch=0), (0, 0)),
        (PlainInfiniteSampler, dict(epoch=3), (3, 15)),
        # Each rank has 2 of 6, rounded up: one batch.
        (DefaultSampler, dict(epoch=3), (3, 18)),
    ],
)
def test_ranks_share_an_epoch(sampler, kwargs, point, monkeypatch):
    for module in ('dataset.sampler', 'dist'):
        monkeypatch.setattr(f'mmengine.{module}.get_dist_info', lambda: (0, 3))
    monkeypatch.setattr(
        'mmcp.engine.hooks.stop_pasting_hook.get_world_size', lambda: 3
    )
    loader = loader_of(pasting(), sampler)
    assert StopPastingHook(**kwargs)._point(loader) == point


def test_it_is_found_in_wrappers_and_in_each_other():
    inner, source = pasting(pipeline=[]), pasting(pipeline=[])
    outer = CopyPasteDataset(inner, source, pipeline=PACK)
    beside, repeated = pasting(), RepeatDataset(config(), 2)
    whole = ConcatDataset([outer, repeated, beside])
    hook = StopPastingHook(4)
    runner = SimpleNamespace(train_dataloader=loader_of(whole), iter=0)
    hook.before_train(runner)
    found = [inner, source, repeated.dataset, beside, outer]
    assert {id(each) for each in hook._datasets} == set(map(id, found))
    assert len(hook._datasets) == 5
    assert [int(each._stop) for each in found] == [8] * 5


def test_one_inside_another_stops_at_the_same_sample():
    source = pasting(count=1, pipeline=[])
    dataset = CopyPasteDataset(
        pasting(pipeline=[]), source, dict(num_pasted='all'), pipeline=PACK
    )
    seen = objects_seen(StopPastingHook(2), loader_of(dataset), 4)
    # Objects lie at one place: the upper hides the lower.
    assert seen == [[1, 1]] * 2 + [[0, 0]] * 2


def test_a_wrapper_that_hides_positions_stops_by_the_iteration():
    loader = loader_of(RepeatDataset(config(), 2))
    seen = objects_seen(StopPastingHook(2), loader, 5)
    # The batch of the iteration was made before the hook was called.
    assert seen == [[1, 1]] * 3 + [[0, 0]] * 2


@pytest.mark.parametrize('workers', [0, 1])
def test_a_run_resumed_after_the_end_never_pastes(workers):
    for loader in (
        loader_of(pasting(), DefaultSampler, workers),
        loader_of(RepeatDataset(config(), 2), workers=workers),
    ):
        seen = objects_seen(StopPastingHook(2), loader, 7, start=4)
        assert not any(sum(seen, []))


def test_batches_of_one_aspect_ratio():
    dataset = pasting()
    batches = AspectRatioBatchSampler(InfiniteSampler(dataset), BATCH)
    loader = DataLoader(
        dataset, batch_sampler=batches, collate_fn=pseudo_collate
    )
    seen = objects_seen(StopPastingHook(2), loader, 4)
    assert seen == [[1, 1]] * 2 + [[0, 0]] * 2


class Counter(BaseModel):
    """A model that remembers the number of objects of every batch."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen = []

    def forward(self, inputs, data_samples, mode='tensor'):
        self.seen.append(counts_in(dict(data_samples=data_samples)))
        return dict(loss=self.weight.sum())


def make_runner(folder, iterations, **kwargs):
    return Runner(
        Counter(),
        str(folder),
        train_dataloader=loader_of(pasting(), workers=1),
        train_cfg=dict(by_epoch=False, max_iters=iterations),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        custom_hooks=[
            dict(type='mmcp.StopPastingHook', iteration=3),
            CheckpointHook(interval=2, by_epoch=False),
        ],
        log_level='WARNING',
        experiment_name=folder.name,
        **kwargs,
    )


def test_in_a_training_and_its_resumption(tmp_path):
    first = make_runner(tmp_path / 'stop_a', 2)
    first.train()
    assert first.model.seen == [[1, 1]] * 2
    path = str(tmp_path / 'stop_a' / 'iter_2.pth')
    second = make_runner(tmp_path / 'stop_b', 5, resume=True, load_from=path)
    second.train()
    assert second.model.seen == [[1, 1], [0, 0], [0, 0]]


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        ({}, 'either an iteration or an epoch'),
        (dict(iteration=1, epoch=1), 'either an iteration or an epoch'),
        (dict(iteration=-1), 'iteration must be >= 0, but is -1'),
        (dict(epoch=-2), 'epoch must be >= 0, but is -2'),
    ],
)
def test_bad_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        StopPastingHook(**kwargs)


def test_training_data_without_pasting_are_an_error():
    runner = SimpleNamespace(train_dataloader=loader_of(Images(3, 1)))
    with pytest.raises(ValueError, match='no mmcp.CopyPasteDataset'):
        StopPastingHook(1).before_train(runner)
