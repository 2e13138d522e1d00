"""The report of CP2's demo."""

import re

import numpy as np
import pytest
from mmengine.config import Config

from mmcp.demo.pretraining import Change, PretrainingMetrics
from mmcp.demo.pretraining_report import (
    FOLDER_CONFIG,
    IMAGENET_CONFIG,
    write_pretraining_report,
)
from mmcp.engine.pictures import write_png

LEARNT = PretrainingMetrics(
    iterations=600,
    loss_instance=Change(3.9, 1.25),
    loss_dense=Change(0.83, 0.75),
    acc_instance=Change(2.0, 61.4),
    cos_fg_fg=Change(0.6, 0.45),
    cos_fg_bg=Change(0.6, 0.12),
    std_pooled=Change(0.02, 0.081),
)
SCALARS = {
    name: [(5, 1.0), (10, 0.5)]
    for name in ('loss_instance', 'loss_dense', 'acc_instance', 'cos_fg_fg')
}


@pytest.fixture
def write(tmp_path):
    """Writes a report and returns it."""
    picture = np.zeros((40, 60, 3), np.uint8)
    for name in ('composed_pairs_0', 'similarity_maps_0'):
        write_png(tmp_path / 'vis' / f'{name}000000.png', picture)
    for iteration in (300, 600):
        path = tmp_path / 'vis' / f'similarity_maps_{iteration:07d}.png'
        write_png(path, picture + 100)

    def run(metrics=LEARNT):
        path = write_pretraining_report(
            tmp_path / 'report.html',
            cfg=Config(dict(model=dict(projector=dict(out_channels=128)))),
            work_dir=tmp_path,
            metrics=metrics,
            scalars=SCALARS,
            seconds=90,
            command='python tools/demo_cp2.py --restart',
        )
        return path.read_text(encoding='utf-8')

    return run


def test_pictures_of_the_start_and_the_end(write):
    html = write()

    assert html.count('data:image/jpeg') == 3
    assert re.findall(r'<figcaption>(After[^<]*)', html) == [
        'After 0 iterations',
        'After 600 iterations',
    ]


def test_curves_and_numbers(write):
    html = write()

    assert html.count('data:image/svg') == 2
    for value in ('61 %', '0.45', '0.12', '0.081', '600', '1.5 min'):
        assert f'<b>{value}</b>' in html
    assert '<td>instance loss</td><td>3.900</td><td>1.250</td>' in html


def test_learnt_or_not_is_said(write):
    assert 'It has learnt' in write()
    html = write(
        PretrainingMetrics(**vars(LEARNT) | dict(std_pooled=Change(0.1, 0.0)))
    )
    assert 'has not learnt' in html
    assert '<b>collapsed</b>' in html


def test_commands_lead_somewhere(write, repo_root):
    html = write()

    assert 'python tools/demo_cp2.py --restart' in html
    for config in (FOLDER_CONFIG, IMAGENET_CONFIG):
        assert config in html
        assert (repo_root / config).is_file()


def test_a_training_without_pictures_is_reported(write, tmp_path):
    for path in (tmp_path / 'vis').iterdir():
        path.unlink()

    assert 'data:image/jpeg' not in write()
