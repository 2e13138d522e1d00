"""Tests of the messages about configs."""

from pathlib import Path

import pytest

from mmcp.engine.config import UsageError, load_config


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(name, text):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    write('configs/base.py', 'model = dict(depth=50)\n')
    write('configs/leaf.py', "_base_ = 'base.py'\n")
    return write


def message(path):
    with pytest.raises(UsageError) as caught:
        load_config(path)
    return str(caught.value)


def test_config_is_loaded(write):
    assert load_config('configs/leaf.py').model.depth == 50


@pytest.mark.parametrize(
    ('path', 'found'),
    [
        ('configs/leef.py', 'configs/leaf.py'),
        ('configs/leaf', 'configs/leaf.py'),
        ('leaf.py', 'configs/leaf.py'),
        ('confgs/leaf.py', 'configs/leaf.py'),
    ],
)
def test_missing_config_names_the_nearest(write, path, found):
    assert message(path) == (
        f'Config {path} does not exist. Did you mean {found}?'
    )


@pytest.mark.parametrize('absolute', [False, True])
def test_nothing_near_tells_where_configs_are(write, tmp_path, absolute):
    write('configs/family/leaf.py', '')
    write('configs/_base_/part.py', '')
    path = tmp_path / 'xyz.py' if absolute else 'xyz.py'
    assert message(path) == (
        'Config xyz.py does not exist. There are some in configs, '
        'configs/family.'
    )


def test_nothing_near_far_from_any_config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = message('xyz.py')
    assert text.startswith('Config xyz.py does not exist. There are some in ')
    folders = text.removesuffix('.').split(' in ')[1].split(', ')
    demo = str(Path('configs', 'demo'))
    assert any(folder.endswith(demo) for folder in folders)
    assert all(Path(folder).is_dir() for folder in folders)


def test_missing_base_names_the_nearest(write, tmp_path):
    write('configs/broken.py', "_base_ = ['./bse.py']\n")
    text = message('configs/broken.py')
    assert text.startswith('_base_ of configs/broken.py: Config ')
    assert text.endswith(
        'bse.py does not exist. Did you mean configs/base.py?'
    )


def test_missing_base_of_a_package(write):
    write('a.py', "_base_ = 'mmdet::_base_/default_runtim.py'\n")
    assert 'Did you mean' in message('a.py')
    assert message('a.py').endswith('_base_/default_runtime.py?')


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        (
            'a = 1\nb = (\n',
            'x.py cannot be evaluated (line 2): SyntaxError',
        ),
        ('a = 1\n\nb = c\n', 'x.py cannot be evaluated (line 3): NameError: '),
        (
            "_base_ = ['base.py', 'twin.py']\n",
            'x.py cannot be evaluated: KeyError: "Duplicate key',
        ),
    ],
)
def test_config_with_an_error(write, monkeypatch, tmp_path, text, expected):
    monkeypatch.chdir(tmp_path / 'configs')
    write('configs/twin.py', 'model = 1\n')
    write('configs/x.py', text)
    assert message('x.py').startswith(expected)


def test_folder_and_checkpoint_in_place_of_a_config(write):
    assert message('configs').endswith('give a config file in it.')
    assert message('epoch_1.pth').endswith('the config comes first.')
