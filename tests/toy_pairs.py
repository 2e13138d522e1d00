"""Pairs of views and a small CP2, for tests of what watches a pretraining."""

import itertools

import numpy as np
import torch
from mmengine.model import BaseDataPreprocessor
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import Dataset

from mmcp.datasets.sample_index import seeded

MEAN, STD = (120.0, 110.0, 100.0), (60.0, 50.0, 40.0)
SIDE = 32
_names = itertools.count()


class Pairs(Dataset):
    """Coloured rectangles on noise; query and key share the colour.

    Samples hold what ``mmcp.CopyPastePairDataset`` gives.

    Args:
        length: Number of samples.
        masks: Whether there are foreground masks.
    """

    def __init__(self, length=12, masks=True):
        self.length = length
        self.masks = masks
        self.metainfo = {}

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        with seeded(index):
            colour = np.random.default_rng(int(index)).integers(0, 256, 3)
            views, masks = {}, {}
            for name in ('query', 'key'):
                image = torch.randint(0, 256, (3, SIDE, SIDE)).byte()
                mask = torch.zeros(SIDE, SIDE, dtype=torch.bool)
                top, left = torch.randint(0, SIDE // 3, (2,)).tolist()
                side = 2 * SIDE // 3
                mask[top : top + side, left : left + side] = True
                image[:, mask] = torch.tensor(colour).byte()[:, None]
                views[name], masks[name] = image, mask
        sample = dict(inputs=views, position=torch.tensor(int(index)))
        return sample | (dict(masks=masks) if self.masks else {})


class Normalise(BaseDataPreprocessor):
    """Normalises both views."""

    def __init__(self):
        super().__init__()
        self.register_buffer('mean', torch.tensor(MEAN).view(3, 1, 1))
        self.register_buffer('std', torch.tensor(STD).view(3, 1, 1))

    def forward(self, data, training=False):
        data = self.cast_data(data)
        seen = dict(
            inputs={
                view: (image.float() - self.mean) / self.std
                for view, image in data['inputs'].items()
            }
        )
        return seen | ({'masks': data['masks']} if 'masks' in data else {})


def _resnet():
    return dict(
        type='mmseg.ResNet',
        depth=18,
        base_channels=8,
        stem_channels=8,
        strides=(1, 1, 2, 1),
        out_indices=(3,),
        norm_cfg=dict(type='BN'),
    )


def small_cp2(**options):
    """A config of CP2 with a narrow ResNet-18 and a small head."""
    return dict(
        type='mmcp.CP2',
        backbone=_resnet(),
        decode_head=dict(
            type='mmseg.FCNHead',
            in_channels=64,
            in_index=0,
            channels=16,
            num_convs=1,
            concat_input=False,
            norm_cfg=dict(type='BN'),
        ),
        projector=dict(out_channels=16),
        data_preprocessor=Normalise(),
        **dict(queue_len=8) | options,
    )


def small_moco():
    """A config of MoCo with the same backbone."""
    return dict(
        type='mmcp.MoCo',
        backbone=_resnet(),
        projector=dict(in_channels=64, out_channels=16),
        data_preprocessor=Normalise(),
        queue_len=8,
    )


class Bag(nn.Module):
    """A stand-in for a module with attributes.

    Args:
        attributes: Its attributes, modules among them.
    """

    def __init__(self, **attributes):
        super().__init__()
        for name, value in attributes.items():
            setattr(self, name, value)


def make_runner(work_dir, *hooks, model=None, seed=0, **options):
    """Makes a runner that pretrains a small CP2 in batches of four.

    Args:
        work_dir: The work directory.
        hooks: Hooks of the runner or their configs.
        model: Config of the model; None for :func:`small_cp2`.
        seed: Seed of the run.
        options: ``length`` and ``masks`` of the data set or a ``dataset``,
            ``epochs`` or ``iterations``; the others are arguments of
            ``Runner``.

    Returns:
        The runner.
    """
    data = Pairs(options.pop('length', 12), options.pop('masks', True))
    data = options.pop('dataset', data)
    iterations = options.pop('iterations', None)
    epochs = options.pop('epochs', 1)
    loop = dict(by_epoch=iterations is None)
    loop |= dict(max_iters=iterations) if iterations else {}
    loop |= {} if iterations else dict(max_epochs=epochs)
    return Runner(
        model or small_cp2(),
        str(work_dir),
        train_dataloader=dict(
            batch_size=4,
            num_workers=0,
            dataset=data,
            sampler=dict(
                type='InfiniteSampler' if iterations else 'DefaultSampler',
                shuffle=True,
            ),
            collate_fn=dict(type='default_collate'),
        ),
        train_cfg=loop,
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.05)),
        default_hooks=dict(logger=dict(type='LoggerHook', interval=1)),
        custom_hooks=list(hooks),
        randomness=dict(seed=seed),
        default_scope='mmseg',
        log_level='WARNING',
        experiment_name=f'pairs{next(_names)}',
        **options,
    )
