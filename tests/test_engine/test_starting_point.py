"""Tests of choosing the checkpoint to start from."""

import pytest
import torch
from mmengine.config import Config
from payload import write_hostile

from mmcp.checkpoints import UnsafeCheckpointError
from mmcp.engine.config import UsageError
from mmcp.engine.failures import explain
from mmcp.engine.starting_point import (
    check_init_weights,
    choose_checkpoint,
)


@pytest.fixture
def state(tmp_path):
    """Returns the path of a checkpoint of a training."""
    path = tmp_path / 'work' / 'iter_5.pth'
    path.parent.mkdir()
    meta = dict(epoch=0, iter=5, seed=77)
    torch.save(dict(meta=meta, state_dict={}, message_hub={}), path)
    return path


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / 'weights.pth'
    torch.save(dict(state_dict={}), path)
    return path


def choose(tmp_path, resume=None, *, trust=False, **options):
    cfg = Config(dict(work_dir=str(tmp_path / 'work'), **options))
    choose_checkpoint(cfg, resume, trust=trust)
    return cfg


def note(state, path=None):
    (state.parent / 'last_checkpoint').write_text(str(path or state))


def test_path(tmp_path, state):
    cfg = choose(tmp_path, str(state), load_from='other.pth')
    assert (cfg.resume, cfg.load_from) == (True, str(state))
    assert cfg.randomness.seed == 77


def test_auto_takes_the_last_one(tmp_path, state):
    note(state)
    cfg = choose(tmp_path, 'auto', load_from='other.pth')
    assert (cfg.resume, cfg.load_from) == (True, str(state))


def test_auto_after_the_folder_moved(tmp_path, state):
    note(state, '/some/where/else/iter_5.pth')
    assert choose(tmp_path, 'auto').load_from == str(state)


def test_auto_with_the_last_one_gone(tmp_path, state):
    note(state, state.with_name('iter_6.pth'))
    with pytest.raises(FileNotFoundError, match=r'Did you mean .*iter_5\.pth'):
        choose(tmp_path, 'auto')


def test_auto_with_nothing_there_starts_as_the_config_says(
    tmp_path, weights, capsys
):
    cfg = choose(tmp_path, 'auto', load_from=str(weights))
    assert (cfg.resume, cfg.load_from) == (False, str(weights))
    assert 'Nothing to resume' in capsys.readouterr().err
    assert choose(tmp_path, 'auto').get('load_from') is None


def test_settings_of_the_config_count(tmp_path, state, weights):
    cfg = choose(tmp_path, load_from=str(weights))
    assert not cfg.get('resume')
    own = dict(work_dir=str(state.parent), resume=True)
    cfg = Config(dict(own, load_from=str(state)))
    choose_checkpoint(cfg, None)
    assert cfg.randomness.seed == 77
    note(state)
    cfg = Config(own)
    choose_checkpoint(cfg, None)
    assert cfg.load_from == str(state)


def test_own_seed_is_kept(tmp_path, state):
    cfg = choose(tmp_path, str(state), randomness=dict(seed=1))
    assert cfg.randomness.seed == 1


def test_weights_cannot_be_resumed(tmp_path, weights):
    with pytest.raises(UsageError, match=r'--cfg-options load_from=.*weights'):
        choose(tmp_path, str(weights))


def test_hostile_files_are_found_before_anything_is_built(tmp_path):
    marker = tmp_path / 'marker'
    path = str(write_hostile(tmp_path / 'bad.pth', marker))
    with pytest.raises(UnsafeCheckpointError):
        choose(tmp_path, path)
    with pytest.raises(UnsafeCheckpointError):
        choose(tmp_path, load_from=path)
    assert not marker.exists()
    assert choose(tmp_path, load_from=path, trust=True).load_from == path
    assert marker.exists()


def test_addresses_are_left_to_their_loaders(tmp_path):
    url = 'https://models.invalid/a.pth'
    assert choose(tmp_path, load_from=url).load_from == url


@pytest.mark.parametrize(
    'init_cfg',
    [
        None,
        dict(type='Pretrained', checkpoint='torchvision://resnet50'),
        dict(type='mmcp.Pretrained', checkpoint='https://x.org/none.pth'),
        [dict(type='Kaiming'), dict(type='Pretrained', checkpoint='HERE')],
    ],
)
def test_weights_that_are_there_or_elsewhere_are_accepted(init_cfg, weights):
    if isinstance(init_cfg, list):
        init_cfg[1]['checkpoint'] = str(weights)
    backbone = dict(init_cfg=init_cfg, checkpoint='no start/none.pth')
    check_init_weights(Config(dict(model=dict(backbone=backbone))))
    check_init_weights(Config({}))


@pytest.mark.parametrize('as_list', [False, True])
@pytest.mark.parametrize('place', ['model', 'model.backbone'])
def test_missing_weights_are_told_with_their_key(place, as_list, tmp_path):
    path = str(tmp_path / 'none.pth')
    init_cfg = dict(type='mmcp.Pretrained', checkpoint=path)
    part = dict(init_cfg=[init_cfg] if as_list else init_cfg)
    model = part if place == 'model' else dict(backbone=part)
    cfg = Config(dict(model=model))
    with pytest.raises(FileNotFoundError) as caught:
        check_init_weights(cfg)

    key = f'{place}.init_cfg{".0" if as_list else ""}.checkpoint'
    assert explain(caught.value) == (
        f'{path} does not exist. To look elsewhere, with --cfg-options, set '
        f'{key}.'
    )
