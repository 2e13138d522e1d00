"""Tests of the tool that draws what categories gain."""

import json

import cv2
import numpy as np
import pytest
from per_category_gain import compare, describe, main, parse_args

from mmcp.engine.config import UsageError

BEFORE = dict(bbox={'cat': 0.2, 'dog': 0.4, 'cow': None}, segm={'cat': 0.1})
AFTER = dict(bbox={'cat': 0.3, 'dog': 0.3, 'cow': 0.1}, segm={'cat': 0.3})


@pytest.fixture
def files(tmp_path):
    """Metrics of two baselines and of one run after them."""
    second = dict(BEFORE, bbox={'cat': 0.4, 'dog': 0.4, 'cow': 0.2})
    runs = dict(a=BEFORE, b=second, c=AFTER)
    for name, run in runs.items():
        (tmp_path / f'{name}.json').write_text(json.dumps(run))
    return tmp_path


def run(files, *options, before=('a',), after=('c',)):
    sides = []
    for side, names in (('--before', before), ('--after', after)):
        sides += [side, *(str(files / f'{name}.json') for name in names)]
    main([*sides, '--out', str(files / 'new' / 'gain.png'), *options])
    return cv2.imread(str(files / 'new' / 'gain.png'))


def test_a_picture_and_the_largest_changes(files, capsys):
    image = run(files)
    assert image.shape == (920, 800, 3)
    assert capsys.readouterr().out.splitlines() == [
        'Box AP: 30.0 to 30.0 over 2 categories',
        '  cat                   20.0 to  30.0  (+10.0)',
        '  dog                   40.0 to  30.0  (-10.0)',
        'Mask AP: 10.0 to 30.0 over 1 categories',
        '  cat                   10.0 to  30.0  (+20.0)',
        f'Picture: {files / "new" / "gain.png"}',
    ]


def test_runs_are_averaged_and_kept(files, capsys):
    kept = files / 'x' / 'mean.json'
    run(files, '--save-before', str(kept), before=('a', 'b'))
    said = capsys.readouterr().out
    assert '  cat                   30.0 to  30.0  (+0.0)' in said
    content = json.loads(kept.read_text())
    assert content['bbox']['cat'] == pytest.approx(0.3)
    assert content['bbox']['cow'] is None
    again = run(files, after=('x/mean',))
    assert again is not None


def test_absolute_gains_give_another_picture(files):
    assert not np.array_equal(run(files), run(files, '--absolute'))


def test_many_categories_are_told_in_part():
    names = [f'c{k:02d}' for k in range(30)]
    before = dict(bbox={name: 0.5 for name in names})
    after = dict(bbox={n: 0.5 + k / 100 for k, n in enumerate(names)})
    (gains,) = compare(before, after)
    lines = describe(gains, most=2).splitlines()
    assert [line.split()[0] for line in lines[1:]] == [
        'c29',
        'c28',
        'c01',
        'c00',
    ]


def test_mistakes(files, capsys):
    (files / 'c.json').write_text('{"loss": 1}')
    with pytest.raises(UsageError, match='--after: .*classwise'):
        run(files)
    (files / 'c.json').write_text(json.dumps(dict(segm={'cow': 0.1})))
    with pytest.raises(UsageError, match='Box AP and Mask AP, the other Mask'):
        run(files)
    with pytest.raises(FileNotFoundError):
        run(files, after=('none',))
    with pytest.raises(SystemExit):
        parse_args(['--before', 'a', '--after', 'b', '--out', 'x.jpg'])
    assert 'must end in .png' in capsys.readouterr().err
