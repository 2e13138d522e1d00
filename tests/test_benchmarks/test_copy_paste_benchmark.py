import json
import math
import mmap
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.structures.mask import BitmapMasks

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / 'benchmarks'))

from copy_paste_speed.images import find_images, sample_images  # noqa: E402
from copy_paste_speed.mask_head import (  # noqa: E402
    make_inputs,
    make_targets,
)
from copy_paste_speed.memory import _peak  # noqa: E402
from copy_paste_speed.packets import arrive, packed_bytes  # noqa: E402
from copy_paste_speed.pipelines import (  # noqa: E402
    CACHED,
    FLOOR,
    MAKERS,
    MMDET,
    OURS,
    make_repeatable,
)
from copy_paste_speed.report import chart, markdown, table  # noqa: E402
from copy_paste_speed.scenes import (  # noqa: E402
    MMDetPaste,
    OurPaste,
    Scenario,
    SceneMaker,
    mmdet_rasterise,
    mmdet_results,
    our_results,
)
from copy_paste_speed.targets import Target, targets_of  # noqa: E402
from copy_paste_speed.timing import (  # noqa: E402
    Elsewhere,
    Peer,
    Times,
    alternate,
    summary,
)


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    return sample_images(tmp_path_factory.mktemp('data') / 'sample')


def test_peers_take_turns_and_warm_up():
    calls = []
    peers = [
        Peer('a', [lambda n: calls.append(('a', n))], warm_up=1),
        Peer('b', [lambda n: calls.append(('b', n))], warm_up=0),
    ]
    times = alternate(peers, 3)
    warm = [('a', 0)]
    turns = [('a', 0), ('b', 0), ('b', 1), ('a', 1), ('a', 2), ('b', 2)]
    assert calls == warm + turns
    assert times['a'].cpu.shape == times['b'].wall.shape == (3, 1)


def _spend(value):
    begin = time.process_time()
    while time.process_time() - begin < 0.002:
        pass
    return value + 1


def test_stages_receive_the_result_before_and_are_timed_apart():
    seen = []
    peer = Peer(
        'a',
        [_spend, lambda v: seen.append(v) or v, _spend],
        prepare=lambda n: 10 * n,
        warm_up=0,
        watch=lambda first: f'first {first}',
    )
    times = alternate([peer], 2)['a']
    assert seen == [1, 11]
    assert times.watched == ['first 1', 'first 11']
    assert (times.cpu[:, 0] >= 2).all()
    assert (times.cpu[:, 2] >= 2).all()
    assert (times.cpu[:, 1] < times.cpu[:, 0]).all()


def test_peers_apart_have_a_process_each():
    def peer(name):
        return Peer(name, [_spend], watch=lambda value: (os.getpid(), value))

    times = alternate([peer('a'), peer('b')], 2, apart=True)
    pids = {n: {pid for pid, _ in t.watched} for n, t in times.items()}
    assert len(pids['a']) == len(pids['b']) == 1
    assert len(pids['a'] | pids['b'] | {os.getpid()}) == 3
    assert [value for _, value in times['b'].watched] == [1, 2]
    assert (times['a'].cpu >= 2).all()


def test_preparing_is_not_timed():
    peer = Peer('a', [len], prepare=lambda n: time.sleep(0.05) or 'abc')
    assert alternate([peer], 1)['a'].wall[0, 0] < 50


def test_a_stage_elsewhere_brings_its_own_time():
    peer = Peer('a', [lambda n: Elsewhere(cpu=3.0, wall=4.0)])
    times = alternate([peer], 2)['a']
    assert times.cpu.tolist() == [[3.0], [3.0]]
    assert times.wall.tolist() == [[4.0], [4.0]]


def test_summary_adds_the_chosen_stages():
    cpu = np.array([[1.0, 10], [2, 20], [6, 30]])
    times = Times(cpu, cpu + 1)
    assert summary(times, 0) == {
        'median': 2.0,
        'mean': 3.0,
        'p95': pytest.approx(5.6),
        'wall_median': 3.0,
        'repeats': 3,
    }
    assert summary(times)['median'] == 22
    assert summary(times)['wall_median'] == 24


def test_packed_bytes_count_the_memory_behind_a_view_once():
    whole = torch.zeros(1000, 1000, dtype=torch.uint8)
    sample = {'a': whole[:10], 'b': whole.T, 'c': np.zeros(5000, np.uint8)}
    size = packed_bytes(sample)
    assert 1_005_000 < size < 1_006_000


def test_what_arrives_is_what_was_sent(images):
    make_repeatable(3)
    sent = MAKERS[OURS](images)[3]
    received = arrive(sent)
    assert torch.equal(received['inputs'], sent['inputs'])
    masks = [s['data_samples'].gt_instances.masks for s in (sent, received)]
    assert np.array_equal(masks[0].to_ndarray(), masks[1].to_ndarray())


def test_without_real_images_the_sample_is_taken(tmp_path):
    images = find_images(tmp_path / 'nothing', tmp_path / 'sample')
    assert images.name == 'built-in sample'
    assert len(images.paths()) == 60
    assert all(path.is_file() for path in images.paths())
    assert len(images.classes) == 10


def test_real_images_are_found_by_their_annotations(tmp_path):
    folder = tmp_path / 'annotations'
    folder.mkdir()
    content = {'images': [{'file_name': 'a.jpg'}], 'annotations': []}
    (folder / 'instances_train2017.json').write_text(json.dumps(content))
    images = find_images(tmp_path, tmp_path / 'sample')
    assert images.paths() == [tmp_path / 'train2017' / 'a.jpg']
    assert images.classes is None
    assert not (tmp_path / 'sample').exists()


@pytest.mark.parametrize('name', MAKERS)
def test_every_peer_makes_a_packed_sample(images, name):
    make_repeatable(0)
    sample = MAKERS[name](images)[0]
    assert sample['inputs'].shape == (3, 1024, 1024)
    # MMDetection's transform turns what it pastes on into int64.
    assert sample['inputs'].dtype == torch.uint8 or name == MMDET
    if name != FLOOR:
        objects = sample['data_samples'].gt_instances
        assert len(objects.masks) == len(objects.bboxes) > 0


def test_both_transforms_get_the_same_scene(images):
    scene = SceneMaker(images, seed=1).scene(Scenario('3 / 2', 3, 2))
    theirs = mmdet_rasterise(mmdet_results(scene))
    ours = our_results(scene)
    for a, b in zip(theirs, ours, strict=True):
        assert np.array_equal(a['img'], b['img'])
        assert isinstance(a['gt_masks'], BitmapMasks)
        same = a['gt_masks'].masks == b['gt_masks'].to_ndarray()
        assert same.all()
    pasted = [r['gt_masks'].to_ndarray().copy() for r in ours][1]
    results = MMDetPaste()(theirs), OurPaste()(ours)
    assert np.array_equal(results[0]['img'], results[1]['img'])
    for result in results:
        assert np.array_equal(result['gt_masks'].to_ndarray()[-2:], pasted)


def test_large_objects_have_at_least_half_of_the_canvas(images):
    scene = SceneMaker(images).scene(Scenario('5 / 5', 5, 5, large=True))
    sides = scene.destination.boxes[:, 2:] - scene.destination.boxes[:, :2]
    assert (sides >= 511).all()
    assert (sides <= 922).all()
    assert (scene.destination.boxes >= 0).all()
    assert (scene.destination.boxes <= 1024).all()


def test_mask_targets_are_the_same_for_both(images):
    inputs = [make_inputs(SceneMaker(images), cropped) for cropped in (0, 1)]
    assert torch.equal(inputs[0].boxes, inputs[1].boxes)
    targets = [make_targets(i) for i in inputs]
    assert targets[0].shape == (128, 28, 28)
    assert 0.1 < targets[0].mean() < 0.9
    assert np.array_equal(targets[0], targets[1])


def _times(median, p95=None):
    return {
        'median': median,
        'mean': median + 1,
        'p95': p95 or 2 * median,
        'wall_median': median + 2,
        'repeats': 5,
    }


def _results():
    def peer(made, arrived, size):
        sizes = {'median': size, 'mean': size, 'max': size}
        return {
            'made': _times(made),
            'arrived': _times(arrived),
            'megabytes': sizes,
        }

    scenario = {MMDET: _times(90.0), OURS: _times(3.0)}
    return {
        'setting': {
            'command': 'python benchmarks/copy_paste.py',
            'date': '2030-01-02',
            'images': 'toy',
            'number': 4,
            'size': 1024,
            'cpu': 'abacus',
            'cores': 2,
            'load': 0.5,
            'versions': {'mmcp': '1'},
        },
        'samples': {
            MMDET: peer(100.0, 120.0, 32.0),
            OURS: peer(9.0, 10.0, 3.2),
            CACHED: peer(7.0, 8.0, 3.2),
            FLOOR: {
                'made': _times(5.0),
                'arrived': _times(5.0),
                'megabytes': {'median': 3.1, 'mean': 3.1, 'max': 3.1},
            },
        },
        'transform': {'20 / 10': scenario, '100 / 50': scenario},
        'targets': {
            'objects': 20,
            'boxes': 128,
            'size': [28, 28],
            MMDET: dict(_times(500.0), peak_megabytes=660.0),
            OURS: dict(_times(5.0), peak_megabytes=9.0),
        },
        'loading': {
            'workers': 2,
            'batch': 4,
            OURS: {'median': 100.0, 'low': 90.0, 'high': 110.0},
        },
        'memory': {MMDET: 300.0, OURS: 150.0},
    }


def test_targets_are_ratios_of_the_medians():
    targets = targets_of(_results())
    found = [(round(t.value, 3), t.limit, t.met) for t in targets]
    assert found == [
        (12.0, 10, True),
        (1.8, 2.0, True),
        (1.4, 1.5, True),
        (2.0, 3, True),
        (3.2, 3.6, True),
        (100.0, 20, True),
        (30.0, 25, True),
        (30.0, 25, True),
        (0.5, 0.333, False),
    ]


def test_targets_of_sections_that_were_not_measured_are_left_out():
    results = _results()
    only = {key: results[key] for key in ('setting', 'memory')}
    assert len(targets_of(only)) == 1


@pytest.mark.parametrize(
    ('value', 'at_least', 'met'),
    [
        (2, True, True),
        (1.9, True, False),
        (2, False, True),
        (2.1, False, False),
    ],
)
def test_a_target_is_met_at_its_limit(value, at_least, met):
    target = Target('speed', value, 2, at_least)
    assert target.met is met
    word = 'at least' if at_least else 'at most'
    verdict = 'met' if met else 'missed'
    assert target.row() == ('speed', f'{word} 2x', f'{value:g}x', verdict)


def test_table():
    assert table(['', 'ms'], [['a', '1'], ['b', '2']]) == (
        '|  | ms |\n| --- | ---: |\n| a | 1 |\n| b | 2 |\n'
    )


def test_report_shows_every_section():
    text = markdown(_results(), 'bars.svg')
    assert '](bars.svg)' in text
    for line in (
        '| MMDetection | 100.0 | 101.0 | 200.0 | 102.0 | 1.0x |',
        '| mmcp | 10.0 | 11.0 | 20.0 | 12.0 | 12.0x |',
        '| mmcp | 3.0 | 4.0 | 6.0 | 5.0 | 30.0x |',
        '| mmcp | 5.0 | 6.0 | 10.0 | 7.0 | 100.0x | 9 |',
        '| mmcp | 100 | 90 | 110 |',
        '| mmcp | 150 |',
        '| packed sample, median | at most 3.6 MB | 3.2 MB | met |',
    ):
        assert f'{line}\n' in text


def test_chart_is_the_same_for_the_same_results():
    drawn = chart(_results())
    assert drawn == chart(_results())
    changed = _results()
    changed['samples'][OURS]['made']['median'] = 60.0
    assert drawn != chart(changed)


@pytest.mark.skipif(sys.platform != 'linux', reason='reads /proc')
def test_peak_counts_memory_that_is_freed_again():
    def work():
        # The allocator may have as much from earlier tests at hand.
        with mmap.mmap(-1, 40_000_000) as memory:
            array = np.frombuffer(memory, np.uint8)
            array[:] = 1
            del array  # a mapping in use cannot be closed

    assert 38 < _peak(work) < 60


@pytest.mark.slow
def test_command_measures_the_sample_and_writes_its_record(tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / 'benchmarks' / 'copy_paste.py'),
            '--quick',
            '--data',
            str(tmp_path / 'nothing'),
            '--out',
            str(tmp_path / 'out'),
            '--only',
            'samples',
            'targets',
        ],
        cwd=tmp_path,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert 'built-in sample' in done.stderr
    record = json.loads(
        (tmp_path / 'out' / 'copy_paste_speed.json').read_text()
    )
    assert set(record) == {'setting', 'samples', 'targets', 'reached'}
    assert record['setting']['number'] == 60
    for peer in MAKERS:
        assert record['samples'][peer]['made']['repeats'] == 2
    assert record['targets'][OURS]['peak_megabytes'] > 0
    reached = [entry['value'] for entry in record['reached']]
    assert len(reached) == 6
    assert all(math.isfinite(value) for value in reached)
    text = (tmp_path / 'out' / 'copy_paste_speed.md').read_text()
    assert text in done.stdout
    assert (tmp_path / 'out' / 'copy_paste_speed.svg').read_text()[:5]
