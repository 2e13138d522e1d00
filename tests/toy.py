"""A one-parameter model and a runner for it, for tests of hooks and loops."""

import itertools
import os

import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch.utils.data import Dataset

_names = itertools.count()


class Numbers(Dataset):
    """The numbers from 0 to ``length`` - 1."""

    def __init__(self, length):
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        return dict(numbers=torch.tensor(float(index)))


class Model(BaseModel):
    """Fits one weight to 1; remembers the numbers it was trained on."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen = []

    def forward(self, numbers, mode='tensor'):
        if mode == 'predict':
            return [self.weight.item()]
        self.seen.append([int(number) for number in numbers])
        return dict(loss=((self.weight - 1) ** 2).sum())


class Metric(BaseMetric):
    """Counts the validation batches."""

    def process(self, data_batch, data_samples):
        self.results.extend(data_samples)

    def compute_metrics(self, results):
        return dict(batches=len(results))


class Call(Hook):
    """Calls a function at one point of a run.

    Args:
        stage: Name of the hook's method, e.g. 'after_train_iter'.
        index: Iteration to call it at, counted from 0; for stages of
            validation the batch.
        function: Gets the runner.
    """

    def __init__(self, stage, index, function):
        self.index, self.function = index, function
        setattr(self, stage, self._at)

    def _at(self, runner, batch_idx=None, **_):
        index = runner.iter if batch_idx is None else batch_idx
        if index == self.index:
            self.function(runner)


def send(signum):
    """Returns a function that sends this process a signal."""
    return lambda runner: os.kill(os.getpid(), signum)


def make_runner(
    work_dir,
    *hooks,
    by_epoch,
    length=12,
    steps=3,
    val_interval=None,
    workers=0,
    **options,
):
    """Makes a runner with batches of two and one shuffle for all.

    Args:
        work_dir: The work directory.
        hooks: Hooks of the runner.
        by_epoch: Which training loop.
        length: Size of the data set.
        steps: Epochs or iterations.
        val_interval: As in the loop; None for no validation.
        workers: Processes that load data.
        options: Further arguments of ``Runner``.

    Returns:
        The runner.
    """
    loop = dict(by_epoch=by_epoch, val_interval=val_interval or 1)
    loop['max_epochs' if by_epoch else 'max_iters'] = steps
    sampler = 'DefaultSampler' if by_epoch else 'InfiniteSampler'
    validation = {}
    if val_interval:
        validation = dict(
            val_dataloader=_loader(Numbers(6), 'DefaultSampler', False, 0),
            val_cfg=dict(),
            val_evaluator=Evaluator(Metric()),
        )
    return Runner(
        Model(),
        str(work_dir),
        train_dataloader=_loader(Numbers(length), sampler, True, workers),
        train_cfg=loop,
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        param_scheduler=dict(type='StepLR', step_size=1, by_epoch=by_epoch),
        default_hooks=dict(
            checkpoint=dict(
                type='CheckpointHook', by_epoch=by_epoch, interval=100
            ),
            logger=dict(type='LoggerHook', interval=1000),
        ),
        custom_hooks=list(hooks),
        randomness=dict(seed=3),
        log_level='WARNING',
        experiment_name=f'toy{next(_names)}',
        **validation,
        **options,
    )


def _loader(dataset, sampler, shuffle, workers):
    return dict(
        batch_size=2,
        num_workers=workers,
        dataset=dataset,
        sampler=dict(type=sampler, shuffle=shuffle),
        collate_fn=dict(type='default_collate'),
    )


def run(runner):
    """Trains; returns the numbers seen, batch by batch."""
    runner.train()
    return runner.model.seen
