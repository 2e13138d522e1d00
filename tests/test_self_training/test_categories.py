import json

import pytest

from mmcp.engine.config import UsageError
from mmcp.self_training.categories import find_categories

CLASSES = ('cat', 'dog')
FILE = [
    dict(id=18, name='dog', supercategory='animal'),
    dict(id=17, name='cat'),
    dict(id=1, name='person'),
]


def test_numbered_in_the_order_of_the_classes():
    expected = [dict(id=1, name='cat'), dict(id=2, name='dog')]
    assert find_categories(CLASSES, None, ()) == expected
    # Those of other data, such as Objects365, do not fit.
    assert find_categories(CLASSES, None, FILE[:1]) == expected


def test_those_that_came_with_the_images():
    expected = [FILE[1], FILE[0]]
    assert find_categories(CLASSES, None, FILE) == expected


def test_those_of_a_file_come_first(tmp_path):
    path = tmp_path / 'train.json'
    path.write_text(json.dumps(dict(categories=FILE)))
    present = [dict(id=5, name='cat'), dict(id=6, name='dog')]

    found = find_categories(CLASSES, str(path), present)
    assert found == [FILE[1], FILE[0]]
    with pytest.raises(UsageError, match="'cats'.*Did you mean 'cat'"):
        find_categories(('cats',), str(path), ())
    for text in ('{}', '[]'):
        path.write_text(text)
        with pytest.raises(UsageError, match="no list 'categories'"):
            find_categories(CLASSES, str(path), ())
    path.write_text('text')
    with pytest.raises(UsageError, match='is no JSON file'):
        find_categories(CLASSES, str(path), ())
    with pytest.raises(UsageError, match='none.json with categories'):
        find_categories(CLASSES, str(tmp_path / 'none.json'), ())
