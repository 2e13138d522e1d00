"""The self-check and its command line."""

import dataclasses
import json
import shutil

import pytest

from mmcp.demo import check_sample
from mmcp.demo.__main__ import main


@pytest.fixture(scope='module')
def summary(sample):
    return check_sample(sample)


def test_sample_keeps_its_promises(summary):
    assert summary.failures() == []
    assert summary.splits['val'].small_share >= 0.2
    assert max(summary.box_accuracy, summary.mask_accuracy) < 0.4


def test_figures_of_seed_0(summary):
    train, val = summary.splits['train'], summary.splits['val']
    assert (train.images, val.images, summary.unlabelled) == (60, 48, 60)
    assert (train.crowds, val.crowds) == (1, 0)
    assert (train.empty_images, val.empty_images) == (1, 1)
    assert sum(train.objects.values()) == 437
    assert summary.majority == pytest.approx(60 / 328)


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'box_accuracy': 0.41}, 'colour alone names 41.0%'),
        ({'mask_accuracy': 0.4}, 'promised less than 40%'),
        ({'unlabelled': 0}, 'no unlabelled images'),
    ],
)
def test_broken_promise_is_named(summary, change, words):
    (failure,) = dataclasses.replace(summary, **change).failures()
    assert words in failure


@pytest.mark.parametrize(
    ('split', 'change', 'words'),
    [
        ('val', {'small_share': 0.19}, 'small objects are 19.0%'),
        ('train', {'crowds': 0}, '0 crowd regions'),
        ('val', {'empty_images': 0}, 'no empty image'),
        ('train', {'parted': 0}, 'overlap'),
        ('train', {'objects': {'star': 50, 'box': 9}}, 'between 9 and 50'),
        ('val', {'objects': {'star': 50, 'box': 0}}, 'missing from val'),
    ],
)
def test_broken_promise_of_a_split_is_named(summary, split, change, words):
    splits = dict(summary.splits)
    splits[split] = dataclasses.replace(splits[split], **change)
    (failure,) = dataclasses.replace(summary, splits=splits).failures()
    assert words in failure


def test_colour_that_gives_the_class_away_is_noticed(sample, tmp_path):
    """Repaint every object in its category's colour: the bar must fail."""
    from PIL import Image

    shutil.copytree(sample, tmp_path / 'demo')
    for split in ('train', 'val'):
        for path in (tmp_path / 'demo' / 'semantic' / split).iterdir():
            target = tmp_path / 'demo' / split / path.name
            Image.open(path).convert('RGB').save(target)
    summary = check_sample(tmp_path / 'demo')
    assert summary.mask_accuracy == 1.0
    assert any('colour' in failure for failure in summary.failures())


def test_command_line(sample, tmp_path, capsys):
    assert main([str(sample), '--check']) == 0
    text = capsys.readouterr().out
    assert 'star              120     60' in text
    assert 'FAILED' not in text


def test_command_line_fails_with_the_check(sample, tmp_path, capsys):
    shutil.copytree(sample, tmp_path / 'demo')
    path = tmp_path / 'demo' / 'annotations' / 'instances_val.json'
    content = json.loads(path.read_text())
    for annotation in content['annotations']:
        annotation['area'] = 2000
    path.write_text(json.dumps(content))
    assert main([str(tmp_path / 'demo'), '--check']) == 1
    assert 'FAILED: small objects are 0.0%' in capsys.readouterr().out


def test_command_line_without_a_sample(tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_info:
        main([str(tmp_path / 'none'), '--check'])
    assert exit_info.value.code == 2
    assert 'make the sample first' in capsys.readouterr().err
