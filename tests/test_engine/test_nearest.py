"""Tests of finding what a user meant."""

import pytest

from mmcp.engine.nearest import did_you_mean, nearest, nearest_file


@pytest.mark.parametrize(
    ('word', 'expected'),
    [
        ('copypast', 'CopyPaste'),
        ('COPYPASTE', 'CopyPaste'),
        ('RandomFlipp', 'RandomFlip'),
        ('zzz', None),
        ('', None),
    ],
)
def test_nearest(word, expected):
    assert nearest(word, ['CopyPaste', 'RandomFlip']) == expected


def test_cutoff_decides():
    assert nearest('lrr', ['lr'], 0.8) == 'lr'
    assert nearest('lrr', ['lr'], 0.81) is None


def test_did_you_mean():
    assert did_you_mean('dept', ['depth']) == " Did you mean 'depth'?"
    assert did_you_mean('dept', []) == ''


def test_nearest_file(tmp_path):
    def touch(name):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        return path

    beside = touch('configs/a/mask-rcnn_r50.py')
    touch('configs/a/mask-rcnn_r50.md')
    other = touch('configs/b/cascade_r50.py')
    folders = [tmp_path / 'configs', tmp_path / 'none']

    def find(name):
        return nearest_file(tmp_path / name, folders)

    assert find('configs/a/mask-rcn_r50.py') == beside
    assert find('configs/a/mask-rcnn_r50') == beside
    assert find('configs/a/cascade_r50.py') == other
    assert find('mask-rcnn_r50.py') == beside
    assert find('configs/x/cascade_r5.py') == other
    assert find('configs/a/unlike.py') is None
