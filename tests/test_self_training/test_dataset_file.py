import json

import pytest

from mmcp.self_training.dataset_file import write_dataset

IMAGES = [
    dict(
        id=5, file_name='a.jpg', annotations=[dict(score=0.5), dict(score=1)]
    ),
    dict(id=2, file_name='b.jpg', annotations=[]),
    dict(id=9, file_name='ü.jpg', annotations=[dict(score=0.25)]),
]


def test_the_whole_file(tmp_path):
    path = tmp_path / 'new' / 'pseudo.json'
    head = dict(info=dict(date='now'), categories=[dict(id=1, name='cat')])
    write_dataset(path, head, lambda: iter(IMAGES))

    assert json.loads(path.read_text()) == dict(
        **head,
        images=[
            dict(id=5, file_name='a.jpg'),
            dict(id=2, file_name='b.jpg'),
            dict(id=9, file_name='ü.jpg'),
        ],
        annotations=[
            dict(id=1, image_id=5, score=0.5),
            dict(id=2, image_id=5, score=1),
            dict(id=3, image_id=9, score=0.25),
        ],
    )
    assert [item.name for item in path.parent.iterdir()] == ['pseudo.json']


def test_no_images(tmp_path):
    path = tmp_path / 'pseudo.json'
    write_dataset(path, {}, lambda: iter([]))
    assert json.loads(path.read_text()) == dict(images=[], annotations=[])


def test_one_image_is_held_at_a_time(tmp_path):
    held = []

    class Entry(dict):
        def __init__(self, number):
            held.append(number)
            super().__init__(id=number, annotations=[])

        def __del__(self):
            held.pop()

    most = []

    def images():
        for number in range(20):
            yield Entry(number)
            most.append(len(held))

    write_dataset(tmp_path / 'pseudo.json', {}, images)
    assert len(most) == 40
    assert max(most) <= 2


def test_all_or_nothing(tmp_path):
    path = tmp_path / 'pseudo.json'
    path.write_text('before')

    def images():
        yield IMAGES[0]
        raise OSError('no space left')

    with pytest.raises(OSError, match='no space'):
        write_dataset(path, {}, images)
    assert path.read_text() == 'before'
