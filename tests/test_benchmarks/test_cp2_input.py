import json
import os
import random
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / 'benchmarks'))

import cp2_input  # noqa: E402
from cp2_input_speed.distributions import MEASURES, measure_views  # noqa: E402
from cp2_input_speed.peers import (  # noqa: E402
    BATCH,
    DATASET,
    FLOOR_1,
    OPTIONS,
    RELEASED,
    make_peers,
)
from cp2_input_speed.reference import ReleasedPipeline, erase  # noqa: E402
from cp2_input_speed.report import (  # noqa: E402
    chart,
    markdown,
    target_table,
    targets_of,
)


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    """Five JPEGs of a few shapes."""
    folder = tmp_path_factory.mktemp('photos')
    rng = np.random.default_rng(0)
    for number in range(5):
        small = rng.integers(0, 256, (6, 8, 3), np.uint8)
        image = cv2.resize(small, (160, 120))
        cv2.imwrite(str(folder / f'{number}.jpg'), image)
    return folder


def test_the_released_pipeline(photos):
    pipeline = ReleasedPipeline(sorted(photos.glob('*.jpg')), size=64)
    random.seed(0)
    torch.manual_seed(0)
    sample = pipeline[3]
    assert list(sample) == [
        'query',
        'key',
        'query_background',
        'key_background',
    ]
    for view in sample.values():
        assert view.shape == (3, 64, 64)
        assert view.dtype == torch.float32
        # Normalised: black and white are these.
        assert view.min() >= -2.118
        assert view.max() <= 2.641
    assert not torch.equal(sample['query'], sample['key'])
    # The mask of the released training script.
    for side in ('query', 'key'):
        mask = sample[f'{side}_background'][0] == 0
        assert 0.49 < mask.float().mean() < 0.81
    assert not (sample['query'][0] == 0).float().mean() > 0.4


def test_erased_rectangles_have_the_areas_of_the_paper():
    torch.manual_seed(0)
    view = torch.ones(3, 224, 224)
    shares = []
    for _ in range(300):
        erased = erase(view)
        mask = erased[0] == 0
        rows, columns = mask.any(1).sum(), mask.any(0).sum()
        assert mask.sum() == rows * columns
        shares.append(mask.float().mean().item())
    assert (view == 1).all()
    assert min(shares) > 0.49
    assert max(shares) < 0.81
    assert np.mean(shares) == pytest.approx(0.65, abs=0.02)


def test_peers_run(photos):
    paths = sorted(photos.glob('*.jpg'))
    peers = make_peers(photos, paths, chunk=2)
    assert [peer.name for peer in peers][: 1 + len(OPTIONS)] == [
        RELEASED,
        *OPTIONS,
    ]
    for peer in peers:
        (stage,) = peer.stages
        stage(peer.prepare(7))


def test_measures_of_views():
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 200
    (row,) = measure_views([red])
    expected = [200, 0, 0, 0, 0, 0, 0, 200, 0]
    np.testing.assert_allclose(row, expected, atol=1e-4)
    assert len(row) == len(MEASURES)
    green = np.roll(red, 1, 2)
    (row,) = measure_views([green])
    angle = np.deg2rad(120)
    np.testing.assert_allclose(
        row[-2:], [200 * np.cos(angle), 200 * np.sin(angle)], atol=1e-3
    )
    noisy = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    assert (
        measure_views([noisy])[0, 6]
        > measure_views([cv2.blur(noisy, (3, 3))])[0, 6]
    )


def fake_results(slow, fast, batch):
    def peer(milliseconds):
        return dict(
            milliseconds=milliseconds,
            p95=milliseconds,
            clock=milliseconds,
            per_second=1e3 / milliseconds,
            ratio=slow / milliseconds,
        )

    setting = dict(
        command='x', date='d', images='i', number=1, width=2, height=3,
        chunk=4, cpu='c', cores=5, load=6.0, versions=dict(a='1'),
    )  # fmt: skip
    samples = {
        RELEASED: peer(slow),
        DATASET: peer(fast),
        BATCH: peer(batch),
        FLOOR_1: peer(0.1),
    }
    looks = dict(released=1.0, mmcp=2.0, difference=1.0, error=0.5, ks=0.1)
    views = dict(number=9, measures={'mean of red': looks})
    return dict(setting=setting, samples=samples, views=views)


@pytest.mark.parametrize(
    ('fast', 'batch', 'met'),
    [
        (3.0, 2.0, [True, True]),
        (4.0, 1.9, [False, True]),
        (3.3, 2.1, [True, False]),
    ],
)
def test_targets(fast, batch, met):
    results = fake_results(10.0, fast, batch)
    targets = targets_of(results)
    assert [target.met for target in targets] == met
    assert [target.least for target in targets] == [3.0, 5.0]
    words = [
        line.split('|')[-2].strip()
        for line in target_table(results).splitlines()[2:]
    ]
    assert words == ['met' if m else 'missed' for m in met]


def test_page_and_chart():
    results = fake_results(10.0, 2.5, 1.0)
    page = markdown(results, 'a.svg')
    assert '![Samples a second of each pipeline](a.svg)' in page
    assert f'| {DATASET} | 2.50 | 2.50 | 2.50 | 400 | 4.0x |' in page
    assert '| mean of red | 1.00 | 2.00 | +1.000 +- 0.500 | 0.100 |' in page
    assert chart(results) == chart(results)
    assert '<svg' in chart(results)


def test_no_photographs_are_skipped_clearly(tmp_path, capsys):
    assert cp2_input.main(['--images', str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert said.err == (
        f'skipped: no JPEG photographs in {tmp_path}; give a folder with '
        '--images\n'
    )


def test_the_whole_benchmark(photos, tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / 'benchmarks' / 'cp2_input.py'),
            *('--images', str(photos), '--out', str(tmp_path / 'out')),
            *('--repeats', '2', '--chunk', '2', '--views', '6'),
        ],
        cwd=tmp_path,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / 'out' / 'cp2_input.json').read_text())
    assert set(record) == {'setting', 'samples', 'views', 'reached'}
    assert record['setting']['number'] == 5
    assert record['samples'][RELEASED]['ratio'] == 1
    assert all(peer['per_second'] > 0 for peer in record['samples'].values())
    assert set(record['views']['measures']) == set(MEASURES)
    page = (tmp_path / 'out' / 'cp2_input.md').read_text()
    assert page in done.stdout
    assert '<svg' in (tmp_path / 'out' / 'cp2_input.svg').read_text()


def test_looks_on_photographs(shared_data):
    """Means of colours, contrast, blur energy and hue are the same."""
    folder = shared_data / 'caltech101_sub'
    found = cp2_input.find_images(folder)
    if found is None:
        pytest.skip(f'no photographs at {folder}')
    looks = cp2_input.measure_looks(found[1], 300)
    for name, values in looks['measures'].items():
        # PIL cuts decimals off.
        slack = 0.06 if 'energy' in name else 1.2
        assert abs(values['difference']) < slack, name
        assert values['ks'] < 0.06, name
