"""The study of what is pasted: counts are those of the samples."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from check_configs import ROOT
from mmengine.config import Config
from reduce_config import reduce_config

sys.path.insert(0, str(Path(__file__).parents[2] / 'benchmarks' / 'studies'))

import class_balance as study
import class_balance_report as report

SAMPLES = 24


@pytest.fixture(scope='module')
def dataset(tmp_path_factory):
    """The recipe of the sample on four tiny images."""
    config = Config.fromfile(ROOT / study.CONFIGS['sample'])
    small = reduce_config(config, tmp_path_factory.mktemp('data'))
    return small.train_dataloader.dataset.to_dict()


@pytest.fixture(scope='module')
def rows(dataset):
    measurements = [
        study.measure('tiny', dataset, *arm, SAMPLES) for arm in study.ARMS
    ]
    return [vars(one) for one in measurements]


def annotations(dataset):
    inner = dataset['dataset']
    path = Path(inner['data_root']) / inner['ann_file']
    return json.loads(path.read_text())


def test_objects_are_those_of_the_file_without_crowds(dataset, rows):
    data = annotations(dataset)
    counts = {one['name']: 0 for one in data['categories']}
    names = {one['id']: one['name'] for one in data['categories']}
    for one in data['annotations']:
        counts[names[one['category_id']]] += not one['iscrowd']
    for row in rows:
        found = dict(zip(row['classes'], row['objects'], strict=True))
        assert found == counts
        assert row['objects'] == sorted(row['objects'], reverse=True)


def test_only_classes_of_the_data_set_are_pasted(rows):
    for row in rows:
        absent = np.array(row['objects']) == 0
        assert not np.array(row['pasted'])[absent].any()
        assert 0 < sum(row['pasted']) < sum(row['seen'])
        # Three of the four images have objects.
        assert 1 <= row['source_images'] <= 3
        assert row['samples'] == SAMPLES
    # At most one object an image with 'one'.
    assert sum(rows[-1]['pasted']) <= SAMPLES


def test_nothing_of_the_recipe_is_changed(dataset, rows):
    assert dataset['pipeline'] == [dict(type='mmcp.PackDetInputs')]
    assert 'class_weights' not in dataset


def test_the_same_samples_each_time(dataset, rows):
    again = study.measure('tiny', dataset, *study.ARMS[1], SAMPLES)
    assert vars(again) == rows[1]


@pytest.mark.parametrize(
    ('counts', 'expected'),
    [
        ([6, 3, 1], [0.6, 0.3, 0.1]),
        ([4, 2, 1, 1, 1, 1], [0.6, 0.2, 0.2]),
        ([0, 0, 0], [0, 0, 0]),
        ([1, 1, 1, 1], [0.5, 0.25, 0.25]),
    ],
)
def test_thirds(counts, expected):
    np.testing.assert_allclose(report.thirds(counts), expected)


def make_row(**changes):
    return (
        dict(
            data='toy',
            weights=None,
            num_pasted='random',
            samples=10,
            classes=['a', 'b', 'c'],
            objects=[6, 3, 1],
            pasted=[5, 5, 0],
            seen=[10, 10, 10],
            source_images=2.4,
        )
        | changes
    )


def test_table():
    table = report.make_table(
        [make_row(), make_row(weights='inverse_frequency', num_pasted='one')]
    )
    assert table.splitlines()[2:] == [
        '| toy | none | random | 1.0 | 50 / 50 / 0 | 5 | 2.0 '
        '| 33 / 33 / 33 | 3.0 | 2 |',
        '| toy | inverse_frequency | one | 1.0 | 50 / 50 / 0 | 5 | 2.0 '
        '| 33 / 33 / 33 | 3.0 | 2 |',
    ]


def test_record(rows, tmp_path):
    measurements = [study.Measurement(**row) for row in rows]
    study.write_record(measurements, '--samples 24', tmp_path)
    kept = json.loads((tmp_path / 'class_balance.json').read_text())
    assert kept == dict(options='--samples 24', measurements=rows)
    page = (tmp_path / 'class_balance.md').read_text()
    assert '`tiny` has 10 classes with' in page
    assert report.make_table(rows) in page
    chart = (tmp_path / 'class_balance.svg').read_text()
    assert chart == report.make_chart(rows)
    assert chart.startswith('<?xml')


def test_the_shipped_page_is_that_of_the_shipped_counts():
    path = ROOT / 'docs' / 'results' / 'class_balance.json'
    record = json.loads(path.read_text())
    page = report.make_page(record['measurements'], record['options'])
    assert path.with_suffix('.md').read_text() == page
