"""Tests of the list of images that cannot be read."""

import itertools
import os
import subprocess
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch.utils.data import ConcatDataset

from mmcp.datasets import CopyPastePairDataset, UnlabeledImageDataset
from mmcp.engine.hooks import UnreadableImagesHook
from mmcp.engine.hooks import unreadable_images_hook as module

_names = itertools.count()


def test_hooks_do_not_load_mmdetection():
    """Every tool imports them, ``--help`` too."""
    code = 'import sys, mmcp.engine.hooks; print("mmdet" in sys.modules)'
    command = [sys.executable, '-c', code]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.split()[-1] == 'False'


class Toy(BaseModel):
    """A parameter that loves bright images."""

    def __init__(self):
        super().__init__(dict(type='mmcp.CP2DataPreprocessor'))
        self.weight = torch.nn.Parameter(torch.ones(()))

    def forward(self, inputs, masks=None, mode='tensor'):
        return dict(loss=self.weight * inputs['query'].mean())


def write_images(folder, names):
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in names:
        image = rng.integers(0, 256, (40, 40, 3), np.uint8)
        cv2.imwrite(str(folder / name), image)


@pytest.fixture
def folders(tmp_path):
    """Images and backgrounds, with three bad ones among them."""
    write_images(tmp_path / 'images', [f'{n}.png' for n in range(6)])
    write_images(tmp_path / 'grounds', [f'{n}.png' for n in range(4)])
    odd = tmp_path / 'images' / os.fsdecode(b'odd-\xe9.jpg')
    odd.write_bytes(b'no image')
    (tmp_path / 'images' / '2.png').write_bytes(b'')
    (tmp_path / 'grounds' / '1.png').write_bytes(b'neither')
    return tmp_path


def pairs(folders):
    return CopyPastePairDataset(
        UnlabeledImageDataset('images', str(folders)),
        size=64,
        background_dataset=UnlabeledImageDataset('grounds', str(folders)),
    )


def train(folders, hook, iterations=8):
    runner = Runner(
        model=Toy(),
        work_dir=str(folders / 'work'),
        train_dataloader=dict(
            dataset=ConcatDataset([pairs(folders)]),
            sampler=dict(type='mmcp.InfiniteSampler'),
            batch_size=4,
            num_workers=2,
            collate_fn=dict(type='default_collate'),
        ),
        train_cfg=dict(by_epoch=False, max_iters=iterations),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
        custom_hooks=[hook],
        default_scope='mmengine',
        experiment_name=f'unreadable{next(_names)}',
    )
    runner.train()


def test_what_workers_met_is_listed_in_the_work_directory(folders):
    hook = UnreadableImagesHook(interval=2)
    train(folders, hook)
    listed = (folders / 'work' / 'unreadable_images.txt').read_bytes()
    root = os.fsencode(folders)
    assert listed.splitlines() == [
        root + b'/images/2.png\tis empty',
        root + b'/images/odd-\xe9.jpg\tcannot be decoded',
        root + b'/grounds/1.png\tcannot be decoded',
    ]
    (log,) = (folders / 'work').glob('*/*.log')
    assert (
        '3 of 11 images (27.27%) could not be read so far' in log.read_text()
    )
    assert not list((folders / 'work').glob('.*draft'))


def test_nothing_is_written_when_all_is_well(folders):
    for name in ('images/2.png', os.fsdecode(b'images/odd-\xe9.jpg')):
        (folders / name).unlink()
    (folders / 'grounds' / '1.png').unlink()
    train(folders, UnreadableImagesHook(interval=1), iterations=2)
    assert not (folders / 'work' / 'unreadable_images.txt').exists()


@pytest.fixture
def two_ranks(folders, monkeypatch):
    """A hook on the first of two ranks; the other one has met more."""
    dataset = pairs(folders)
    others = [{3: 'is empty', 6: 'cannot be read'}, {0: 'cannot be decoded'}]
    monkeypatch.setattr(
        module, 'all_gather_object', lambda mine: [mine, others]
    )
    said = []
    runner = SimpleNamespace(
        work_dir=str(folders),
        train_dataloader=SimpleNamespace(dataset=dataset),
        logger=SimpleNamespace(warning=said.append),
        iter=0,
    )
    hook = UnreadableImagesHook()
    hook.before_train(runner)
    return SimpleNamespace(
        hook=hook, runner=runner, said=said, images=dataset.dataset
    )


def test_all_ranks_come_together(folders, two_ranks):
    two_ranks.images.report_unreadable(5)
    two_ranks.hook.after_train(two_ranks.runner)
    lines = (folders / 'unreadable_images.txt').read_bytes().splitlines()
    assert [line.rsplit(b'/', 1)[1] for line in lines] == [
        b'3.png\tis empty',
        b'5.png\tcannot be decoded',
        b'odd-\xe9.jpg\tcannot be read',
        b'0.png\tcannot be decoded',
    ]
    assert len(two_ranks.said) == 1


def test_it_warns_again_only_when_there_are_more(two_ranks):
    hook, runner = two_ranks.hook, two_ranks.runner
    for iteration in range(3):
        hook.act(runner, iteration)
    assert len(two_ranks.said) == 1
    two_ranks.images.report_unreadable(3)
    hook.act(runner, 3)
    assert len(two_ranks.said) == 1
    two_ranks.images.report_unreadable(4)
    hook.act(runner, 4)
    assert len(two_ranks.said) == 2


def test_only_the_first_rank_writes(folders, two_ranks, monkeypatch):
    monkeypatch.setattr(module, 'is_main_process', lambda: False)
    two_ranks.hook.act(two_ranks.runner, 1)
    assert two_ranks.said == []
    assert not (folders / 'unreadable_images.txt').exists()
