"""Tests of what the flags of tools/train.py do to a config."""

import pytest
from mmengine.config import Config

from mmcp.engine import training
from mmcp.engine.config import UsageError


def make(**options):
    return Config(dict(optim_wrapper=dict(type='OptimWrapper'), **options))


def test_hooks_are_added_once():
    cfg = make(custom_hooks=[dict(type='EMAHook')])
    for _ in range(2):
        training.install_training_hooks(cfg)
    assert [hook.type for hook in cfg.custom_hooks] == [
        'EMAHook',
        'mmcp.InterruptHook',
        'mmcp.MidEpochResumeHook',
    ]
    own = make(custom_hooks=[dict(type='mmcp.InterruptHook', interval=9)])
    training.install_training_hooks(own)
    assert own.custom_hooks[0].interval == 9
    assert len(own.custom_hooks) == 2
    empty = make()
    training.install_training_hooks(empty)
    assert len(empty.custom_hooks) == 2


@pytest.mark.parametrize(('scope', 'added'), [('mmdet', 1), ('mmseg', 0)])
def test_classes_of_detectors_are_compared(scope, added):
    cfg = make(default_scope=scope)
    for _ in range(2):
        training.install_training_hooks(cfg)
    names = [hook.type for hook in cfg.custom_hooks]
    assert names.count('mmcp.ClassCountHook') == added


def test_amp():
    cfg = make()
    training.enable_amp(cfg)
    assert cfg.optim_wrapper == dict(
        type='AmpOptimWrapper', loss_scale='dynamic'
    )
    cfg.optim_wrapper.loss_scale = 512.0
    training.enable_amp(cfg)
    assert cfg.optim_wrapper.loss_scale == 512.0
    with pytest.raises(UsageError, match='the config uses ApexOptimWrapper'):
        training.enable_amp(
            Config(dict(optim_wrapper=dict(type='ApexOptimWrapper')))
        )


@pytest.mark.parametrize('device', ['cpu', 'cuda'])
def test_amp_needs_a_gpu(monkeypatch, device):
    monkeypatch.setattr(training, 'get_device', lambda: device)
    training.check_amp(make())
    cfg = make()
    training.enable_amp(cfg)
    if device == 'cpu':
        with pytest.raises(UsageError, match='needs a GPU'):
            training.check_amp(cfg)
    else:
        training.check_amp(cfg)


def test_auto_scale_lr():
    cfg = make(auto_scale_lr=dict(base_batch_size=16))
    training.enable_auto_scale_lr(cfg)
    assert cfg.auto_scale_lr == dict(base_batch_size=16, enable=True)
    for options in ({}, dict(auto_scale_lr=dict(enable=False))):
        with pytest.raises(UsageError, match='base_batch_size'):
            training.enable_auto_scale_lr(make(**options))


def test_no_validation():
    checkpoint = dict(type='CheckpointHook', save_best='auto')
    cfg = make(
        val_cfg={},
        val_dataloader={},
        val_evaluator={},
        default_hooks=dict(checkpoint=checkpoint),
    )
    training.disable_validation(cfg)
    assert cfg.val_cfg is cfg.val_dataloader is cfg.val_evaluator is None
    assert 'save_best' not in cfg.default_hooks.checkpoint
    training.disable_validation(make())


def test_incomplete_config():
    with pytest.raises(UsageError, match='no model, train_dataloader, train_'):
        training.require_training(make())
    parts = dict(model={}, train_dataloader={}, train_cfg={})
    training.require_training(make(**parts))
