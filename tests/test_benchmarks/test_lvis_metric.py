"""The comparison of LVIS evaluations: fair input, honest report."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as mask_api

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / 'benchmarks'))

import lvis_metric as benchmark  # noqa: E402
from lvis_metric_speed import images, peers  # noqa: E402


@pytest.fixture(scope='module')
def stock():
    return images.Stock(0)


@pytest.fixture(scope='module')
def annotations(stock):
    return images.make_annotations(60, stock, 0)


def test_objects_are_as_many_as_in_lvis(annotations):
    assert len(annotations['annotations']) / 60 == pytest.approx(10, rel=0.2)
    for image in annotations['images']:
        present = {
            one['category_id']
            for one in annotations['annotations']
            if one['image_id'] == image['id']
        }
        assert len(image['neg_category_ids']) == 9
        assert not present & {*image['neg_category_ids']}


def test_every_image_has_300_detections(annotations, stock):
    found = list(images.detect(annotations, stock, 0))
    assert [one.image_id for one in found] == list(range(1, 61))
    again = next(images.detect(annotations, stock, 0))
    np.testing.assert_array_equal(found[0].scores, again.scores)
    for one in found[:2]:
        assert len(one.labels) == len(one.scores) == len(one.masks) == 300
        extents = mask_api.toBbox(one.masks)
        boxes = one.boxes.copy()
        boxes[:, 2:] -= boxes[:, :2]
        np.testing.assert_allclose(extents, boxes, atol=3)


@pytest.mark.parametrize('metric', ['bbox', 'segm'])
def test_peers_evaluate_the_same_detections(metric):
    ours = peers.measure(peers.OURS, metric, 12, 1)
    other = peers.measure(peers.FASTER, metric, 12, 1)
    assert ours['results'] == pytest.approx(other['results'], abs=1e-9)
    assert 0.05 < ours['results']['AP'] < 0.95
    assert ours['cpu_s'] > 0
    assert other['peak_mb'] > 0


def row(peer, seconds, ap=0.25, images=10, metric='bbox'):
    return dict(
        peer=peer,
        metric=metric,
        images=images,
        cpu_s=seconds,
        wall_s=2 * seconds,
        peak_mb=100.4,
        results=dict.fromkeys(peers.NAMES, ap),
    )


SETTING = dict(command='x', date='d', versions='v', cpu='c', load=1.0)


def test_report():
    rows = [
        row('mmcp', 2.0),
        row('lvis', 11.0),
        row('faster-coco-eval', 5.5, ap=0.5),
        row('mmcp', 4.0, images=20),
    ]
    page = benchmark.markdown(dict(setting=SETTING, rows=rows))
    for line in (
        '| 10 | mmcp | 2.0 | 4.0 | 100 | 5.5x | 0 |',
        '| 10 | lvis | 11.0 | 22.0 | 100 |  |  |',
        '| 10 | faster-coco-eval | 5.5 | 11.0 | 100 | 2.0x | 0.2 |',
        '| 20 | mmcp | 4.0 | 8.0 | 100 |  |  |',
        'to 1e-06: yes (0). At least 5 times as fast: yes (5.5x).',
    ):
        assert line in page
    assert '## Masks' not in page


@pytest.mark.parametrize(
    ('ours', 'verdict'),
    [
        (row('mmcp', 2.0, ap=0.26), 'NO (0.01). At least 5 times as fast: y'),
        (row('mmcp', 3.0), 'At least 5 times as fast: NO (3.7x)'),
    ],
)
def test_missed_targets_are_told(ours, verdict):
    rows = [ours, row('lvis', 11.0)]
    page = benchmark.markdown(dict(setting=SETTING, rows=rows))
    assert verdict in page


def test_files(monkeypatch, tmp_path):
    calls = []

    def measure(peer, metric, number, seed, lvis):
        calls.append(peer)
        return row(peer, 1.0, images=number, metric=metric)

    monkeypatch.setattr(benchmark, 'measure', measure)
    words = '--images 4 --ours-images 8 --lvis secret'.split()
    assert benchmark.main([*words, '--out', str(tmp_path)]) == 0
    found = json.loads((tmp_path / 'lvis_metric.json').read_text())
    order = [
        (one['metric'], one['images'], one['peer']) for one in found['rows']
    ]
    assert order == [
        (metric, number, peer)
        for metric in ('bbox', 'segm')
        for number, peer in (
            (4, 'mmcp'),
            (4, 'lvis'),
            (4, 'faster-coco-eval'),
            (8, 'mmcp'),
        )
    ]
    page = (tmp_path / 'lvis_metric.md').read_text()
    assert '--lvis FOLDER' in page
    assert 'secret' not in page
    assert len(calls) == 8
    # What is there is not measured again.
    more = '--images 4 --ours-images --lvis x --out'.split()
    benchmark.main([*more, str(tmp_path)])
    assert len(calls) == 8
    benchmark.main([*more, str(tmp_path), '--fresh'])
    assert len(calls) == 14
    benchmark.main([*more, str(tmp_path), '--seed', '1'])
    assert len(calls) == 20
