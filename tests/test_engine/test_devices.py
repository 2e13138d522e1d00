"""Tests of fitting a config to the machine."""

import datetime

import pytest
import torch
from mmengine.config import Config, ConfigDict

from mmcp.engine import devices
from mmcp.engine.config import UsageError
from mmcp.engine.devices import (
    LAUNCHERS,
    adapt_to_devices,
    require_launcher,
)


@pytest.fixture
def joined(monkeypatch):
    """Collects the arguments of joining a process group."""
    calls = []
    monkeypatch.setattr(
        torch.distributed,
        'init_process_group',
        lambda **options: calls.append(options),
    )
    return calls


@pytest.fixture
def device(monkeypatch):
    def choose(name):
        monkeypatch.setattr(devices, 'get_device', lambda: name)

    choose('cpu')
    return choose


def make(**options):
    norm = dict(type='SyncBN')
    parts = [dict(norm_cfg=norm), (dict(norm_cfg=dict(type='MMSyncBN')),)]
    model = dict(type='X', backbone=dict(norm_cfg=norm), parts=parts)
    return Config(dict(model=model, **options))


@pytest.mark.parametrize('options', [{}, dict(launcher='none')])
def test_one_process_has_nobody_to_synchronise_with(device, joined, options):
    cfg = make(**options)
    before = cfg.pretty_text
    adapt_to_devices(cfg)
    assert 'SyncBN' in before
    expected = before.replace('MMSyncBN', 'BN').replace('SyncBN', 'BN')
    assert cfg.pretty_text == expected
    assert joined == []


def test_processes_on_the_cpu(device, joined, capsys):
    cfg = make(
        launcher='pytorch',
        find_unused_parameters=True,
        env_cfg=dict(dist_cfg=dict(backend='nccl', timeout=90)),
    )
    adapt_to_devices(cfg)
    assert joined == [
        dict(backend='gloo', timeout=datetime.timedelta(seconds=90))
    ]
    assert cfg.model_wrapper_cfg == dict(
        type='MMDistributedDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=True,
        device_ids=None,
    )
    assert cfg.model.backbone.norm_cfg.type == 'BN'
    assert cfg.model.parts[0].norm_cfg.type == 'BN'
    assert cfg.model.parts[1][0].norm_cfg.type == 'BN'
    assert cfg.randomness == dict(seed=None, diff_rank_seed=True)
    assert 'gloo, not nccl' in capsys.readouterr().err


def test_own_wrapper_is_kept(device, joined):
    wrapper = dict(type='Mine', static_graph=True)
    cfg = make(launcher='pytorch', model_wrapper_cfg=wrapper)
    adapt_to_devices(cfg)
    assert cfg.model_wrapper_cfg == dict(wrapper, device_ids=None)


def test_gpus_keep_their_settings(device, joined):
    device('cuda')
    cfg = make(launcher='slurm', randomness=dict(seed=5))
    adapt_to_devices(cfg)
    assert cfg.model.backbone.norm_cfg.type == 'SyncBN'
    assert 'model_wrapper_cfg' not in cfg
    assert 'env_cfg' not in cfg
    assert cfg.randomness == dict(seed=5, diff_rank_seed=True)
    assert joined == []


def test_ranks_alike_on_request(device, joined):
    cfg = make(launcher='pytorch', randomness=dict(diff_rank_seed=False))
    adapt_to_devices(cfg)
    assert cfg.randomness == ConfigDict(diff_rank_seed=False)


@pytest.mark.parametrize('launcher', ['slurm', 'mpi'])
def test_launchers_that_need_a_gpu(device, joined, launcher):
    with pytest.raises(UsageError, match=r'tools/dist_train\.sh'):
        adapt_to_devices(make(launcher=launcher))


@pytest.mark.parametrize('launcher', LAUNCHERS)
def test_launcher_that_started_nothing(monkeypatch, launcher):
    names, program, command = LAUNCHERS[launcher]
    for name in names:
        monkeypatch.setenv(name, '1')
    require_launcher(Config(dict(launcher=launcher)))
    monkeypatch.delenv(names[0])
    with pytest.raises(UsageError) as caught:
        require_launcher(Config(dict(launcher=launcher)))
    assert str(caught.value) == (
        f'--launcher {launcher} is for processes that {program} starts '
        f'({names[0]} not set). Use {command}, or leave --launcher out for a '
        'single process.'
    )


@pytest.mark.parametrize('options', [{}, dict(launcher='none')])
def test_no_launcher_needs_nothing(options):
    require_launcher(Config(options))
