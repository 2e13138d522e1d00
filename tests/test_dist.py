"""Tests of training in two processes on the CPU, as dist_train.sh starts it.

Random flips are the only draws of the tiny config's data pipeline, so two
ranks that draw alike flip alike, whatever pictures they get.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny import write_coco, write_detector

ROOT = Path(__file__).parents[1]
DEMO = sorted((ROOT / 'configs' / 'demo').glob('mask-rcnn_*-scp-*.py'))

pytestmark = [pytest.mark.dist, pytest.mark.slow]

PROBE = """
custom_imports = dict(imports=['dist_probe'])
custom_hooks = [dict(type='mmengine.Probe', signal_at={signal_at})]
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def start(script, *words, cwd=None):
    """Starts a script of tools/."""
    environment = {
        **os.environ,
        'PYTHON': sys.executable,
        'PYTHONPATH': str(ROOT / 'tests'),
        'PORT': str(free_port()),
        'OMP_NUM_THREADS': '1',
    }
    return subprocess.Popen(
        [str(ROOT / 'tools' / script), *map(str, words)],
        env=environment,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(process):
    """What a script printed; the reason of a failure comes at the end."""
    try:
        output, _ = process.communicate(timeout=240)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    print(output[-6000:])  # reports cut the middle of a long assertion
    return output


def train(config, work, *words, cwd=None):
    words = [config, 2, '--work-dir', work, *words]
    process = start('dist_train.sh', *words, cwd=cwd)
    output = finish(process)
    return process.returncode, output


def records(work):
    return [json.loads((work / f'rank{r}.json').read_text()) for r in (0, 1)]


def make(tmp_path, *, images=8, signal_at=None, extra='', **options):
    write_coco(tmp_path / 'coco', images=images)
    text = PROBE.format(signal_at=signal_at) + extra
    return write_detector(tmp_path, tmp_path / 'coco', extra=text, **options)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """Two processes trained for three epochs of eight images."""
    folder = tmp_path_factory.mktemp('dist')
    config = make(folder, by_epoch=True, steps=3)
    code, output = train(config, folder / 'work', '--seed', 3)
    assert code == 0
    return folder, output


def test_ranks_hold_the_same_weights_after_every_step(trained):
    first, second = records(trained[0] / 'work')
    assert first['weights'] == second['weights']
    assert len(set(first['weights'])) == 6


def test_every_image_is_seen_once_per_epoch(trained):
    first, second = records(trained[0] / 'work')
    for epoch in range(3):
        part = slice(4 * epoch, 4 * epoch + 4)
        seen = first['ids'][part] + second['ids'][part]
        assert sorted(seen) == list(range(8))
    assert first['ids'][:4] != first['ids'][4:8]


def test_backend_and_metrics_are_reported(trained):
    folder, output = trained
    assert output.count('No GPU: the processes talk through gloo') == 1
    assert 'coco/segm_mAP' in output
    assert (folder / 'work' / 'epoch_3.pth').is_file()


def test_ranks_draw_differently_without_loading_processes(trained):
    first, second = records(trained[0] / 'work')
    assert len(first['flips']) == 12
    assert first['flips'] != second['flips']


def test_ranks_would_draw_alike_with_one_seed(tmp_path):
    extra = 'randomness = dict(seed=3, diff_rank_seed=False)'
    config = make(tmp_path, by_epoch=True, steps=2, extra=extra)
    code, output = train(config, tmp_path / 'work', '--no-validate')
    assert code == 0
    first, second = records(tmp_path / 'work')
    assert first['flips'] == second['flips']
    assert len(set(map(str, first['flips']))) > 1
    assert first['ids'] != second['ids']


def test_signal_to_one_rank_stops_all_at_the_same_step(tmp_path):
    config = make(tmp_path, by_epoch=True, images=28, signal_at=8, steps=50)
    work = tmp_path / 'work'
    code, output = train(config, work, '--seed', 3)
    assert code == 128 + signal.SIGTERM
    assert 'Traceback' not in output
    before = records(work)
    # 7 steps an epoch; the ranks agree after steps 5, 10, ...
    assert [record['steps'][-1] for record in before] == [9, 9]
    said = f'Go on from {work / "interrupted.pth"} with: the same command'
    assert output.count(said) == 1
    meta = torch.load(work / 'interrupted.pth', weights_only=False)['meta']
    assert (meta['epoch'], meta['iter'], meta['seed']) == (1, 10, 3)

    end = ['train_cfg.max_epochs=2', 'custom_hooks.0.signal_at=None']
    code, output = train(
        config, work, '--resume', '--no-validate', '--cfg-options', *end
    )
    assert code == 0
    after = records(work)
    assert [record['steps'] for record in after] == [[10, 11, 12, 13]] * 2
    seen = [
        image
        for old, new in zip(before, after, strict=True)
        for image in old['ids'][14:] + new['ids']
    ]
    assert sorted(seen) == list(range(28))


def test_ctrl_c_in_a_terminal_reaches_launcher_and_ranks(tmp_path):
    config = make(tmp_path, steps=2000)
    work = tmp_path / 'work'
    process = start('dist_train.sh', config, 2, '--work-dir', work)
    for line in process.stdout:
        if 'Iter(train) [   3/' in line:
            break
    os.killpg(process.pid, signal.SIGINT)  # launcher and ranks, twice
    output = finish(process)
    assert process.returncode == 128 + signal.SIGINT
    assert 'Traceback' not in output
    assert 'Training was interrupted by SIGINT. Go on from' in output
    meta = torch.load(work / 'interrupted.pth', weights_only=False)['meta']
    assert meta['iter'] % 5 == 0
    assert meta['iter'] >= 5


def test_testing_in_two_processes(trained, tmp_path):
    folder, _ = trained
    checkpoint = folder / 'work' / 'epoch_3.pth'
    out = tmp_path / 'predictions.pkl'
    words = ['--work-dir', tmp_path, '--out', out]
    process = start(
        'dist_test.sh', folder / 'detector.py', checkpoint, 2, *words
    )
    finish(process)
    assert process.returncode == 0
    content = json.loads((tmp_path / 'test_metrics.json').read_text())
    assert 'coco/segm_mAP' in content['metrics']
    assert out.is_file()


@pytest.mark.skipif(not DEMO, reason='the demo has no Copy-Paste config yet')
@pytest.mark.timeout(600)
def test_demo_config(tmp_path):
    """The built-in sample: 60 images, one pass in 7.5 steps of 8."""
    from mmcp.demo import make_sample

    data = make_sample(tmp_path / 'data' / 'demo')
    images = json.loads(
        (data / 'annotations' / 'instances_train.json').read_text()
    )['images']
    config = tmp_path / 'demo.py'
    config.write_text(
        f"_base_ = '{DEMO[0]}'\n"
        "custom_imports = dict(imports=['dist_probe'])\n"
        "custom_hooks = [dict(type='mmengine.Probe')]\n"
        'train_cfg = dict(max_iters=10)\n'
    )
    work = tmp_path / 'work'
    # The config names the sample by its usual place.
    code, output = train(
        config, work, '--no-validate', '--seed', 0, cwd=tmp_path
    )
    assert code == 0
    first, second = records(work)
    assert len(first['weights']) == 10
    assert first['weights'] == second['weights']
    half = len(images) // 2
    seen = first['ids'][:half] + second['ids'][:half]
    assert sorted(seen) == sorted(image['id'] for image in images)
    both = set(first['images']) & set(second['images'])
    assert not both
