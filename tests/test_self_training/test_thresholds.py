import json

import numpy as np
import pytest

from mmcp.engine.config import UsageError
from mmcp.self_training.thresholds import (
    ScoreThresholds,
    read_class_thresholds,
)

CLASSES = ('person', 'stop sign', 'dog')


def test_in_the_order_of_the_classes():
    thresholds = ScoreThresholds(0.5, {'dog': 0.25, 'person': 1})
    found = thresholds.of(CLASSES)

    assert found.dtype == np.float32
    assert found.tolist() == [1, 0.5, 0.25]
    assert ScoreThresholds().of(CLASSES).tolist() == [0.5] * 3


def test_words_and_files(tmp_path):
    for name, text in (
        ('a.json', json.dumps({'dog': 0.1, 'cat': 1})),
        ('b.yaml', 'stop sign: 0.2\n'),
        ('c.yml', 'dog: 0.3\n'),
    ):
        (tmp_path / name).write_text(text)
    words = [str(tmp_path / name) for name in ('a.json', 'b.yaml', 'c.yml')]

    assert read_class_thresholds([]) == {}
    assert read_class_thresholds([*words, 'person=.7,stop sign=0.4']) == {
        'dog': 0.3,
        'cat': 1.0,
        'stop sign': 0.4,
        'person': 0.7,
    }


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['person'], "'person' is neither NAME=SCORE nor"),
        (['=0.5'], "'=0.5' is neither"),
        (['person=high'], "threshold of 'person' must be a number"),
        (['person=0.5,'], "'' is neither"),
        (['missing.yaml'], 'missing.yaml with score thresholds does not'),
    ],
)
def test_wrong_words(words, message):
    with pytest.raises(UsageError, match=message):
        read_class_thresholds(words)


def test_a_file_of_another_form(tmp_path):
    path = tmp_path / 'list.json'
    path.write_text('[0.5]')
    with pytest.raises(UsageError, match='must hold a mapping'):
        read_class_thresholds([str(path)])
    path.write_text('{"dog": null}')
    with pytest.raises(UsageError, match="'dog' must be a number"):
        read_class_thresholds([str(path)])


@pytest.mark.parametrize('value', [-0.1, 1.1, float('nan')])
def test_out_of_range(value):
    with pytest.raises(UsageError, match='of default must lie in'):
        ScoreThresholds(value)
    with pytest.raises(UsageError, match='of dog must lie in'):
        ScoreThresholds(0.5, {'dog': value})


def test_unknown_class():
    with pytest.raises(UsageError, match="'persn'.*Did you mean 'person'"):
        ScoreThresholds(0.5, {'persn': 0.5}).of(CLASSES)
