"""Tests of the benchmark of CP2's step: the reference, and that it runs."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / 'benchmarks'))

import cp2_step  # noqa: E402
from cp2_step_speed.peers import (  # noqa: E402
    BEST,
    REFERENCE,
    SMALL,
    WAYS,
    Step,
    Way,
    make_batch,
)
from cp2_step_speed.report import targets_of  # noqa: E402

CPU = torch.device('cpu')


def test_the_released_algorithm_and_ours_are_the_same_training():
    """Losses, weights and queues of three steps, from the same start."""
    released = Step(REFERENCE, SMALL, CPU)
    ours = Step(Way('ours'), SMALL, CPU)
    for name in ('encoder_q', 'encoder_k'):
        getattr(ours.model, name).load_state_dict(
            getattr(released.model, name).state_dict()
        )
    ours.model.queue.keys.copy_(released.model.queue)
    batch = make_batch(4, SMALL, CPU)
    for _ in range(3):
        assert ours(batch) == pytest.approx(released(batch), rel=1e-4)
    torch.testing.assert_close(
        ours.model.queue.keys, released.model.queue, atol=1e-4, rtol=1e-4
    )
    weights = ours.model.encoder_k.state_dict()
    for name, value in released.model.encoder_k.state_dict().items():
        torch.testing.assert_close(weights[name], value, atol=1e-4, rtol=1e-3)


def test_the_references_queue_wraps():
    model = Step(REFERENCE, SMALL, CPU).model
    keys = torch.arange(250 * 128.0).view(250, 128)
    model._enqueue(keys)
    model._enqueue(keys[:10])
    assert model.pointer == 4
    assert torch.equal(model.queue[:, :4], keys[6:10].t())
    assert torch.equal(model.queue[:, 4:250], keys[4:].t())
    assert torch.equal(model.queue[:, 250:], keys[:6].t())


def test_a_small_run_on_a_cpu(tmp_path, capsys):
    images = tmp_path / 'images'
    images.mkdir()
    rng = np.random.default_rng(0)
    for number in range(6):
        pixels = rng.integers(0, 256, (80, 90, 3), np.uint8)
        cv2.imwrite(str(images / f'{number}.jpg'), pixels)
    code = cp2_step.main(
        [
            '--device', 'cpu', '--small', '--only', '0', '1', '3',
            '--batch', '4', '--steps', '1', '--workers', '0',
            '--images', str(images), '--out', str(tmp_path), '--check',
        ]
    )  # fmt: skip
    assert code == 0
    results = json.loads((tmp_path / 'cp2_step_small.json').read_text())
    names = [WAYS[number].name for number in (0, 1, 3)]
    assert [row['name'] for row in results['steps']] == names
    assert results['steps'][0]['ratio'] == 1
    for row in results['steps']:
        rate = 1000 * 4 / row['milliseconds']
        assert row['samples_per_second'] == pytest.approx(rate)
    kinds = [(r['augment'], r['backgrounds']) for r in results['loading']]
    assert len(set(kinds)) == 4
    assert all(0 < row['waiting'] < 1 for row in results['loading'])
    assert results['loaded_step'] == names[-1]
    assert {row['images'] for row in results['loading']} == {6}
    assert results['reached'] == []
    report = (tmp_path / 'cp2_step_small.md').read_text()
    assert report in capsys.readouterr().out
    assert all(f'| {name} |' in report for name in names)


def results(device='cuda', ratio=3.5, rate=1500):
    return dict(
        setting=dict(device=device, small=False),
        steps=[
            dict(name=REFERENCE.name, ratio=1.0),
            dict(name=BEST.name, ratio=ratio),
        ],
        loading=[
            dict(samples_per_second=rate),
            dict(samples_per_second=rate / 2),
        ],
    )


def test_targets_are_those_of_a_gpu():
    assert [target['met'] for target in targets_of(results())] == [True, False]
    better = targets_of(results(ratio=2.9, rate=2000))
    assert [target['met'] for target in better] == [False, True]
    assert targets_of(results('cpu')) == []


def test_a_missing_folder_is_an_error(capsys):
    with pytest.raises(SystemExit):
        cp2_step.parse_args(['--images', 'nowhere'])
    assert 'there is no folder nowhere' in capsys.readouterr().err
