"""Tests of the tool that finds how often scenes do not match."""

import json

import pytest
from scene_context import PAPER, main, measure, read_scenes

from mmcp.engine.config import UsageError

CATEGORIES = [
    dict(id=1, name='person', supercategory='person'),
    dict(id=187, name='sky', supercategory='sky'),
    dict(id=149, name='playingfield', supercategory='ground'),
    dict(id=199, name='wall', supercategory='wall'),
    dict(id=190, name='floor', supercategory='floor'),
]
# Of each image, the area of each category.
IMAGES = {
    1: {1: 900, 187: 50, 199: 40},
    2: {190: 30, 199: 30, 187: 50},
    3: {1: 500},
    4: {187: 20, 149: 20, 199: 30},
    5: {187: 10, 190: 10},
}


def panoptic():
    return dict(
        annotations=[
            dict(
                image_id=image,
                segments_info=[
                    dict(id=k, category_id=c, area=a)
                    for k, (c, a) in enumerate(areas.items())
                ],
            )
            for image, areas in IMAGES.items()
        ],
        categories=CATEGORIES,
    )


def write(path, content):
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def file(tmp_path):
    return write(tmp_path / 'panoptic.json', panoptic())


def test_the_stuff_that_covers_more_says_where_it_is(file):
    assert read_scenes(file) == {
        '1': 'outdoor',
        '2': 'indoor',
        '3': None,
        '4': 'outdoor',
        '5': None,
    }


def test_a_category_in_several_pieces_counts_as_one(tmp_path):
    content = panoptic()
    content['annotations'] = [
        dict(
            image_id=1,
            segments_info=[
                dict(category_id=187, area=50),
                *[dict(category_id=199, area=30)] * 2,
            ],
        )
    ]
    assert read_scenes(write(tmp_path / 'p.json', content)) == {'1': 'indoor'}


def test_the_papers_counts_give_the_papers_matrix():
    kinds = dict(indoor=42_538, outdoor=71_017, unknown=4732)
    scenes = {
        f'{kind}{k}': None if kind == 'unknown' else kind
        for kind, count in kinds.items()
        for k in range(count)
    }

    found = measure(scenes)

    assert found['sources'] == found['destinations'] == [42_538, 71_017]
    assert found['unknown'] == 4732
    # It rounds so that the sum is 100 %.
    paper = [[0.141, 0.234], [0.234, 0.391]]
    for row, expected in zip(found['matrix'], paper, strict=True):
        assert row == pytest.approx(expected, abs=0.001)
    assert found['unmatched'] == pytest.approx(0.468, abs=0.001)


def test_images_without_objects_are_no_sources(file, tmp_path, capsys):
    instances = dict(
        annotations=[
            dict(image_id=1, iscrowd=1),
            dict(image_id=2),
            dict(image_id=3, iscrowd=0),
            dict(image_id=4, iscrowd=0),
            dict(image_id=4, iscrowd=0),
        ]
    )
    path = write(tmp_path / 'instances.json', instances)
    out = tmp_path / 'new' / 'found.json'

    main([str(file), '--instances', str(path), '--out', str(out)])

    found = json.loads(out.read_text())
    third = pytest.approx(1 / 3)
    assert found == dict(
        scenes=['indoor', 'outdoor'],
        sources=[1, 1],
        destinations=[1, 2],
        unknown=2,
        matrix=[[pytest.approx(1 / 6), third], [pytest.approx(1 / 6), third]],
        unmatched=pytest.approx(0.5),
    )
    said = capsys.readouterr().out
    assert said.startswith(
        '                to indoor   to outdoor\n'
        'from indoor         16.7%        33.3%\n'
        'from outdoor        16.7%        33.3%\n'
        '50.0% of the pairs do not match; 1 indoor, 2 outdoor, 2 unknown\n'
    )
    assert said.endswith(PAPER)


def test_any_kinds_of_scenes(tmp_path, capsys):
    path = write(tmp_path / 's.json', {'7': 'sea', '8': 'road', '9': 'road'})
    main([str(path)])
    said = capsys.readouterr().out.splitlines()
    assert said[1].split() == ['from', 'road', '44.4%', '22.2%']
    assert said[-1].startswith('44.4% of the pairs')


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (dict(panoptic(), categories=CATEGORIES[:1]), 'no stuff of COCO'),
        ({'1': 5}, 'must be panoptic annotations'),
        ({}, 'no image of a known scene'),
        ([], 'no JSON object'),
    ],
)
def test_other_files_are_told(tmp_path, content, message):
    path = write(tmp_path / 'x.json', content)
    with pytest.raises(UsageError, match=message):
        main([str(path)])


def test_instances_of_other_images_are_told(file, tmp_path):
    path = write(tmp_path / 'i.json', dict(annotations=[dict(image_id=77)]))
    with pytest.raises(UsageError, match='ids of --instances'):
        main([str(file), '--instances', str(path)])
