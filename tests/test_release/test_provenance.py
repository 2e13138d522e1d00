"""Tests that a checkpoint is published under its own config's name."""

import pytest
from mmengine.config import Config
from publishing.provenance import known_config, require_same_config

from mmcp.engine.config import UsageError

SETTINGS = dict(
    model=dict(type='mmcp.CP2', backbone=dict(norm_cfg=dict(type='SyncBN'))),
    train_cfg=dict(max_epochs=20),
    train_dataloader=dict(
        batch_size=4, num_workers=8, dataset=dict(data_root='data/a')
    ),
    work_dir='a',
)


def write(path, **changes):
    Config(SETTINGS | changes).dump(path)
    return path


def checkpoint(name='old_20260130_120000', **changes):
    text = Config(SETTINGS | changes).pretty_text
    return dict(meta=dict(experiment_name=name, cfg=text))


def check(path, content, *, renamed=False):
    config = known_config(path, {}, trust=False)
    require_same_config(path, config, content, renamed=renamed)


def test_a_renamed_copy_is_the_same(tmp_path, capsys):
    path = write(tmp_path / 'new.py')
    elsewhere = dict(
        model=dict(type='mmcp.CP2', backbone=dict(norm_cfg=dict(type='BN'))),
        train_dataloader=dict(
            batch_size=4, num_workers=2, dataset=dict(data_root='data/b')
        ),
        work_dir='b',
    )
    check(path, checkpoint(**elsewhere))
    check(path, dict(meta={}))
    check(path, dict(state_dict={}))
    assert capsys.readouterr().err == ''


@pytest.mark.parametrize('name', ['old_20260130_120000', '20260130_120000'])
def test_another_config_is_refused_and_named(tmp_path, capsys, name):
    path = write(tmp_path / 'new.py')
    content = checkpoint(name, train_cfg=dict(max_epochs=200))
    said = 'old.py' if name.startswith('old') else 'another config'
    with pytest.raises(UsageError) as error:
        check(path, content)
    assert str(error.value) == (
        f'the checkpoint was trained with {said}, not new.py; they differ in '
        'train_cfg.max_epochs. Give the config it was trained with, or '
        '--renamed if it is the same training under a new name.'
    )
    check(path, content, renamed=True)
    assert 'has it: train_cfg.max_epochs.' in capsys.readouterr().err


def test_a_name_alone_is_believed(tmp_path):
    path = write(tmp_path / 'new.py')
    for meta in (
        dict(experiment_name='old_20260130_120000'),
        dict(mmcp=dict(config='old.py')),
    ):
        with pytest.raises(UsageError, match=r'old\.py, not new\.py; thei'):
            check(path, dict(meta=meta))
        check(path, dict(meta=meta), renamed=True)


def test_options_of_the_command_line_are_told(tmp_path, capsys):
    path = write(tmp_path / 'old.py')
    content = checkpoint(param_scheduler=[dict(type='a', end=3)])
    check(path, content)
    said = capsys.readouterr().err
    assert said.startswith('Not trained as ')
    assert said.endswith(
        'old.py has it: param_scheduler.0.end, param_scheduler.0.type.\n'
    )


def test_config_of_the_user_comes_first(tmp_path):
    path = write(tmp_path / 'a.py')
    recorded = dict(model=dict(type='B'), default_scope='mmdet', x=1)
    given = known_config(path, recorded, trust=False)
    assert given.model.type == 'mmcp.CP2'
    own = known_config(None, recorded, trust=False)
    assert own.to_dict() == dict(model=dict(type='B'), default_scope='mmdet')
    (tmp_path / 'b.py').write_text('x = 1\n')
    with pytest.raises(UsageError, match=r'b\.py describes no model'):
        known_config(tmp_path / 'b.py', {}, trust=False)


def test_what_cannot_be_compared_is_told(tmp_path, capsys):
    assert known_config(None, dict(x=1), trust=False) is None
    assert 'NOT COMPARED with a model: no config' in capsys.readouterr().err

    path = tmp_path / 'a.py'
    path.write_text("custom_imports = dict(imports=['no_such_package'])\n")
    assert known_config(path, {}, trust=False) is None
    said = capsys.readouterr().err
    assert 'NOT COMPARED' in said
    assert 'no_such_package' in said

    hostile = dict(model=dict(type='os.system', command='true'))
    assert known_config(None, hostile, trust=False) is None
    assert 'could run anything' in capsys.readouterr().err
    assert known_config(None, hostile, trust=True).model == hostile['model']
