"""Tests of the tool that makes fractions of COCO."""

import json

import pytest
from coco_fractions import PERCENTS, main, parse_args, write_fractions

from mmcp.engine.config import UsageError

CATEGORIES = [dict(id=3, name='cat'), dict(id=7, name='dog')]


def coco(count=40):
    """Images with one to three cats; one of them has a dog, too."""
    images = [
        dict(id=100 + k, file_name=f'{k}.jpg', height=4, width=6)
        for k in range(count)
    ]
    annotations = [
        dict(id=k, image_id=100 + k % count, category_id=3, bbox=[0, 0, k, 2])
        for k in range(2 * count)
        if k % count
    ]
    annotations.append(dict(id=9999, image_id=100, category_id=7))
    return dict(
        info=dict(year=2017),
        licenses=[],
        images=images,
        annotations=annotations,
        categories=CATEGORIES,
    )


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def read(path):
    return json.loads(path.read_text())


def ids(content):
    return {image['id'] for image in content['images']}


@pytest.mark.parametrize('order', ['coco', 'lvis'])
def test_fractions_are_nested_and_whole(tmp_path, order):
    content = coco()
    if order == 'lvis':
        # Objects stand before images there.
        content = dict(sorted(content.items()))
    path = write(tmp_path / 'instances.json', content)

    main([str(path)])

    files = [tmp_path / f'instances_{p:g}pct.json' for p in PERCENTS]
    parts = [read(file) for file in files]
    assert [len(part['images']) for part in parts] == [1, 2, 4, 10, 20, 30]
    for small, large in zip(parts, parts[1:], strict=False):
        assert ids(small) < ids(large)
    for part, percent in zip(parts, PERCENTS, strict=True):
        assert part['images'] == [
            image for image in content['images'] if image['id'] in ids(part)
        ]
        assert part['annotations'] == [
            one
            for one in content['annotations']
            if one['image_id'] in ids(part)
        ]
        assert part['categories'] == CATEGORIES
        assert part['licenses'] == []
        origin = dict(file='instances.json', percent=percent, seed=0)
        assert part['info'] == dict(year=2017, fraction=origin)
    # Nothing else is left.
    assert set(tmp_path.iterdir()) == {path, *files}


def test_all_of_it_is_the_same_data_set(tmp_path):
    content = coco()
    path = write(tmp_path / 'a.json', content)
    write_fractions(path, tmp_path, [100], 0)
    part = read(tmp_path / 'a_100pct.json')
    del part['info']['fraction']
    assert part == content


def test_a_seed_chooses_and_the_order_of_the_file_does_not(tmp_path):
    content = coco()
    chosen = []
    for name, seed in (('a', 0), ('b', 0), ('c', 1)):
        path = write(tmp_path / name / 'x.json', content)
        write_fractions(path, tmp_path / name, [25], seed)
        chosen.append(ids(read(tmp_path / name / 'x_25pct.json')))
        content['images'].reverse()
    assert chosen[0] == chosen[1] != chosen[2]


def test_an_image_without_objects_counts(tmp_path):
    content = dict(coco(4), annotations=[])
    path = write(tmp_path / 'x.json', content)
    write_fractions(path, tmp_path, [50], 0)
    part = read(tmp_path / 'x_50pct.json')
    assert len(part['images']) == 2
    assert part['annotations'] == []


def test_what_is_in_them_is_told(tmp_path, capsys):
    path = write(tmp_path / 'x.json', coco())
    out = tmp_path / 'new' / 'folder'
    main([str(path), '--percents', '100', '2.5', '--out', str(out)])
    said = capsys.readouterr().out.splitlines()
    assert said[1].split()[:3] == ['2.5', '1', '2']
    assert said[1].endswith('1: dog')
    assert said[2].split() == ['100', '40', '79', '0']
    assert said[-1].strip() == str(out / 'x_100pct.json')


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(images=[]), 'has no images'),
        (dict(images=[dict(id=1), dict(id=1)]), 'two images have the id 1'),
        (dict(images=[dict(file_name='a')]), "an image has no 'id'"),
        (
            dict(annotations=[dict(id=5, image_id=1)]),
            'object 5 belongs to the image 1, which is not listed',
        ),
        (dict(annotations=None), 'lists of images, annotations: Expecting'),
    ],
)
def test_broken_files_leave_nothing(tmp_path, change, message):
    path = write(tmp_path / 'x.json', dict(coco(), **change))
    with pytest.raises(UsageError, match=message):
        main([str(path)])
    assert list(tmp_path.iterdir()) == [path]


def test_other_files_are_told(tmp_path):
    for text, message in (('[]', 'Expecting'), ('{"a": 1}', 'no images and')):
        path = tmp_path / 'x.json'
        path.write_text(text)
        with pytest.raises(UsageError, match=message):
            main([str(path)])
    with pytest.raises(FileNotFoundError):
        main([str(tmp_path / 'none.json')])


@pytest.mark.parametrize('percent', ['0', '101', 'x'])
def test_bad_percents_are_refused(percent, capsys):
    with pytest.raises(SystemExit):
        parse_args(['a.json', '--percents', percent])
    assert '--percents' in capsys.readouterr().err
