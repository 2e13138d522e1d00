"""`tools/train.py` on a tiny CP2: killed and resumed, it is bit-equal."""

import os
import re
import signal
import subprocess
import time

import cv2
import numpy as np
import pytest
import torch
from tiny import tool

from mmcp.checkpoints import read_checkpoint
from mmcp.visualization import read_scalars

EPOCHS, BATCHES = 6, 4
KILLED_AFTER = 2 * BATCHES + 1  # in the middle of the third epoch
CONFIG = """\
_base_ = ['{root}/configs/_base_/pretrain_runtime.py']
norm = dict(type='BN')
model = dict(
    type='mmcp.CP2',
    backbone=dict(
        type='ResNet', depth=18, base_channels=8, stem_channels=8,
        strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2), norm_cfg=norm),
    decode_head=dict(
        type='ASPPHead', in_channels=64, in_index=3, channels=8,
        dilations=(1, 2), norm_cfg=norm),
    projector=dict(out_channels=16),
    queue_len=10,
    momentum=0.9,
    bn_splits=2,
    dense_warmup=10,
    data_preprocessor=dict(type='mmcp.CP2DataPreprocessor'))
train_dataloader = dict(
    batch_size=4, num_workers=0, drop_last=True,
    sampler=dict(type='mmcp.EpochSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type='mmcp.CopyPastePairDataset',
        dataset=dict(type='mmcp.UnlabeledImageDataset', sources='{images}'),
        size=64))
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs={epochs})
optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=1e-4))
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max={epochs}, end={epochs})]
custom_hooks = [
    *_base_.custom_hooks, dict(type='mmcp.MomentumScheduleHook')]
default_hooks = dict(
    logger=dict(interval=1),
    checkpoint=dict(interval=1, by_epoch=False, max_keep_ckpts=-1))
log_processor = dict(window_size=1)
"""


@pytest.fixture(scope='module')
def config(tmp_path_factory, repo_root):
    folder = tmp_path_factory.mktemp('cp2')
    images = folder / 'images'
    images.mkdir()
    rng = np.random.default_rng(0)
    # One image does not fill a batch.
    for index in range(4 * BATCHES + 1):
        noise = rng.integers(0, 256, (8, 8, 3), np.uint8)
        image = cv2.resize(noise, (80, 72), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(images / f'{index}.jpg'), image)
    path = folder / 'tiny_cp2.py'
    path.write_text(
        CONFIG.format(root=repo_root, images=images, epochs=EPOCHS)
    )
    return path


def command(config, work_dir, *words):
    return tool('train.py', config, '--work-dir', work_dir, *words)


def environment():
    return {**os.environ, 'OMP_NUM_THREADS': '1'}


def train(config, work_dir, *words):
    done = subprocess.run(
        command(config, work_dir, *words),
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def train_until_killed(config, work_dir, *words):
    """Kills a training as soon as a checkpoint of mid-epoch is complete."""
    child = subprocess.Popen(
        command(config, work_dir, *words),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
        start_new_session=True,
    )
    while saved_iteration(work_dir) < KILLED_AFTER:
        assert child.poll() is None, 'ended before it could be killed'
        time.sleep(0.005)
    os.killpg(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL


def saved_iteration(work_dir):
    """Iteration of the last complete checkpoint, 0 if there is none."""
    note = work_dir / 'last_checkpoint'
    found = note.is_file() and re.search(r'iter_(\d+)\.pth', note.read_text())
    return int(found[1]) if found else 0


@pytest.fixture(scope='module')
def uninterrupted(config, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('uninterrupted')
    train(config, work_dir, '--seed', '3')
    return work_dir


def last_state(work_dir):
    return read_checkpoint(work_dir / f'iter_{EPOCHS * BATCHES}.pth')


def assert_equal(found, expected, place=''):
    """Compares trees of dicts, sequences and tensors, bit by bit."""
    assert type(found) is type(expected), place
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), place
        for key, value in expected.items():
            assert_equal(found[key], value, f'{place}.{key}')
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected), place
        for index, value in enumerate(expected):
            assert_equal(found[index], value, f'{place}[{index}]')
    elif isinstance(expected, torch.Tensor):
        assert torch.equal(found, expected), place
    else:
        assert found == expected, place


@pytest.mark.slow
@pytest.mark.parametrize('workers', [0, 2])
def test_killed_and_resumed_is_uninterrupted(
    workers, config, uninterrupted, tmp_path
):
    options = (
        '--cfg-options',
        f'train_dataloader.num_workers={workers}',
        f'train_dataloader.persistent_workers={bool(workers)}',
    )
    train_until_killed(config, tmp_path, '--seed', '3', *options)
    output = train(config, tmp_path, '--resume', *options)

    assert 'Epoch 3 goes on after its batch' in output
    found, expected = last_state(tmp_path), last_state(uninterrupted)
    assert float(expected['state_dict']['queue.filled']) == 10
    assert int(expected['state_dict']['step']) == EPOCHS * BATCHES
    for part in ('state_dict', 'optimizer', 'param_schedulers'):
        assert_equal(found[part], expected[part], part)
    # Every single loss, accuracy and cosine on the way, too.
    logged, whole = read_scalars(tmp_path), read_scalars(uninterrupted)
    names = [n for n in whole if n not in ('time', 'data_time', 'memory')]
    assert {n: logged[n] for n in names} == {n: whole[n] for n in names}
    assert len(logged['loss']) == EPOCHS * BATCHES
