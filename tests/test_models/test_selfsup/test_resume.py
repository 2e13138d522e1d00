"""A whole pretraining that is interrupted and goes on as if it was not."""

import itertools

import cv2
import numpy as np
import pytest
import torch
from cp2_models import fcn, resnet
from mmengine.runner import Runner

_names = itertools.count()


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp('images')
    rng = np.random.default_rng(0)
    for number in range(22):
        image = rng.integers(0, 256, (60, 70, 3), np.uint8)
        cv2.imwrite(str(folder / f'{number}.jpg'), image)
    return str(folder)


def make_runner(work_dir, images, workers=0, **options):
    """Everything that a config of ``configs/cp2`` puts together, small."""
    backgrounds = options.pop('backgrounds', 'dataset')
    augment = options.pop('augment', 'worker')
    preprocessor = dict(
        type='mmcp.CP2DataPreprocessor', backgrounds=backgrounds
    )
    return Runner(
        dict(
            type='mmcp.CP2',
            backbone=resnet(),
            decode_head=fcn(),
            projector=dict(out_channels=8),
            queue_len=12,
            momentum=0.9,
            bn_splits=2,
            dense_warmup=10,
            data_preprocessor=preprocessor,
        ),
        str(work_dir),
        train_dataloader=dict(
            batch_size=4,
            num_workers=workers,
            persistent_workers=workers > 0,
            drop_last=True,
            sampler=dict(type='mmcp.EpochSampler'),
            collate_fn=dict(type='default_collate'),
            dataset=dict(
                type='mmcp.CopyPastePairDataset',
                dataset=dict(
                    type='mmcp.UnlabeledImageDataset', sources=images
                ),
                size=48,
                backgrounds=backgrounds,
                augment=augment,
            ),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=3),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.05, momentum=0.9)),
        param_scheduler=dict(
            type='CosineAnnealingLR',
            T_max=3,
            by_epoch=True,
            convert_to_iter_based=True,
        ),
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=7)
        ),
        custom_hooks=[
            dict(type='mmcp.MidEpochResumeHook'),
            dict(type='mmcp.MomentumScheduleHook'),
        ],
        randomness=dict(seed=3, diff_rank_seed=True),
        default_scope='mmseg',
        log_level='WARNING',
        experiment_name=f'resume{next(_names)}',
        **options,
    )


def state_after(runner):
    runner.train()
    assert runner.iter == 15
    return (
        runner.model.state_dict(),
        runner.optim_wrapper.state_dict(),
        [scheduler.last_step for scheduler in runner.param_schedulers],
        runner.model.momentum,
    )


def test_the_fast_path_goes_on_as_if_nothing_had_happened(images, tmp_path):
    """In the middle of the second epoch of three, with other workers.

    What ``tests/test_cp2_training.py`` shows of the released way of pasting.
    """
    fast = dict(backgrounds='batch', augment='model')
    whole = state_after(
        make_runner(tmp_path / 'whole', images, workers=1, **fast)
    )
    torch.manual_seed(99)
    resumed = make_runner(
        tmp_path / 'resumed',
        images,
        workers=2,
        load_from=str(tmp_path / 'whole' / 'iter_7.pth'),
        resume=True,
        **fast,
    )
    torch.testing.assert_close(state_after(resumed), whole, atol=0, rtol=0)
    assert int(whole[0]['step']) == 15
    assert int(whole[0]['queue.filled']) == 12


def test_weights_to_start_from_bring_their_queue_and_steps(images, tmp_path):
    """``load_from`` without ``resume`` begins at the first iteration."""
    make_runner(tmp_path / 'first', images).train()
    path = str(tmp_path / 'first' / 'iter_7.pth')
    runner = make_runner(tmp_path / 'second', images, load_from=path)
    saved = torch.load(path, weights_only=False)['state_dict']
    runner.load_or_resume()
    assert runner.iter == 0
    torch.testing.assert_close(
        dict(runner.model.state_dict()), dict(saved), atol=0, rtol=0
    )
