"""The report of CP2's demo: what the model saw, learnt and tells apart."""

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from mmengine.config import Config

from mmcp.demo.pretraining import (
    MIN_ACCURACY_GAIN,
    MIN_COSINE_GAP,
    MIN_STD,
    Change,
    PretrainingMetrics,
)
from mmcp.visualization.curves import Panel, Scalars, plot_curves
from mmcp.visualization.draw import Image
from mmcp.visualization.pretraining import pretraining_panels
from mmcp.visualization.report import Picture, Report

IMAGENET_CONFIG = 'configs/cp2/cp2_r50-aspp_mocov2-800e-pre_8xb32-20e_in1k.py'
FOLDER_CONFIG = (
    'configs/cp2/cp2_r50-aspp_mocov2-800e-pre_1xb256-fast-20e_in1k.py'
)
_COLUMNS = 3
# The queue is full and the schedule known after a moment.
_LEFT_OUT = ('Queue filled (%)', 'Learning rate')
_WIDE = 60  # rem: a picture takes a row of its own


def write_pretraining_report(
    path: str | os.PathLike[str],
    *,
    cfg: Config,
    work_dir: str | os.PathLike[str],
    metrics: PretrainingMetrics,
    scalars: Scalars,
    seconds: float,
    command: str,
) -> Path:
    """Write the report of a finished demo of CP2.

    Args:
        path: HTML file to write.
        cfg: Config that was trained.
        work_dir: Work directory of the training; the pictures of its monitors
            are in `vis`.
        metrics: From `mmcp.demo.pretraining.measure_pretraining`.
        scalars: From `mmcp.visualization.read_scalars`.
        seconds: Time spent in training.
        command: What the user ran.

    Returns:
        The path.
    """
    report = Report(
        'CP2 on the built-in sample',
        'Backbone and decode head of a small segmentation model, pretrained '
        'from random weights on 120 pictures without labels.',
    )
    report.cards(_cards(metrics, seconds))
    _add_verdict(report, metrics)
    _add_pairs(report, Path(work_dir) / 'vis')
    _add_curves(report, scalars, cfg.model.projector.out_channels)
    _add_maps(report, Path(work_dir) / 'vis')
    _add_numbers(report, metrics)
    _add_commands(report, cfg, Path(work_dir), command)
    return report.write(path)


def _cards(
    metrics: PretrainingMetrics, seconds: float
) -> list[tuple[str, str]]:
    accuracy, std = metrics.acc_instance, metrics.std_pooled
    return [
        (
            f'{accuracy.last:.0f} %',
            f'instance accuracy, {accuracy.first:.0f} % at the start',
        ),
        (
            f'{metrics.cos_fg_fg.last:.2f}',
            'cosine of foreground pixels with those of the other view',
        ),
        (
            f'{metrics.cos_fg_bg.last:.2f}',
            'cosine of foreground with background pixels',
        ),
        (
            'collapsed' if metrics.collapsed else f'{std.last:.3f}',
            'standard deviation of the features; 0 is a collapse',
        ),
        (str(metrics.iterations), 'training iterations'),
        (f'{seconds / 60:.1f} min', 'of training'),
    ]


def _add_verdict(report: Report, metrics: PretrainingMetrics) -> None:
    failures = metrics.failures()
    if failures:
        report.text(
            'This training has not learnt what it should have: '
            f'{"; ".join(failures)}.'
        )
        return
    report.text(
        f'It has learnt: the accuracy rose by {MIN_ACCURACY_GAIN:.0f} '
        'percentage points or more, foregrounds are more like each other than '
        f'like backgrounds by {MIN_COSINE_GAP} or more, and the features of '
        f'different images differ (standard deviation above {MIN_STD}).'
    )


def _add_pairs(report: Report, folder: Path) -> None:
    report.section('What the model was trained on')
    report.text(
        'Query and key are two views of one picture, each pasted onto '
        'another picture; a line surrounds the foreground. The instance loss '
        'finds the key of a query by the mean feature of its foreground, '
        'among the keys of other pictures; the dense loss tells foreground '
        'pixels from background pixels.'
    )
    first = _pictures(folder, 'composed_pairs')[:1]
    report.pictures(
        [
            Picture([image], 'The first pairs, as the model saw them')
            for _, image in first
        ],
        _WIDE,
    )


def _add_curves(report: Report, scalars: Scalars, embedding: int) -> None:
    report.section('How the training went')
    panels = [
        panel
        for panel in pretraining_panels(scalars, embedding)
        if panel.title not in _LEFT_OUT
    ]
    for start in range(0, len(panels), _COLUMNS):
        row = panels[start : start + _COLUMNS]
        report.svg(plot_curves(row), _titles(row))
    report.text(
        'The dense loss can only fall by some tenths, by which it is hard to '
        'judge; the cosines show what it does.'
    )


def _titles(panels: Sequence[Panel]) -> str:
    return ', '.join(panel.title for panel in panels)


def _add_maps(report: Report, folder: Path) -> None:
    report.section('What it tells apart, before and after')
    report.text(
        'Validation pictures, which were not trained on. A heat map shows how '
        'similar each place of a view is to the foreground of the other view, '
        'from -1 (dark) to 1 (bright), the same colours in both pictures. The '
        'line surrounds the foreground; means of both parts stand below.'
    )
    maps = _pictures(folder, 'similarity_maps')
    report.pictures(
        [
            Picture([image], f'After {iteration} iterations')
            for iteration, image in (*maps[:1], *maps[1:][-1:])
        ],
        _WIDE,
    )


def _pictures(folder: Path, name: str) -> list[tuple[int, Image]]:
    """Pictures of a monitor with their iterations, in order."""
    return [
        (int(path.stem.rsplit('_', 1)[1]), np.asarray(cv2.imread(str(path))))
        for path in sorted(folder.glob(f'{name}_*.png'))
    ]


def _add_numbers(report: Report, metrics: PretrainingMetrics) -> None:
    report.section('Numbers')
    report.text('Means over the first and the last twentieth of the training.')
    rows: dict[str, Change] = {
        'instance loss': metrics.loss_instance,
        'dense loss, weighted': metrics.loss_dense,
        'instance accuracy (%)': metrics.acc_instance,
        'cosine, foreground with foreground': metrics.cos_fg_fg,
        'cosine, foreground with background': metrics.cos_fg_bg,
        'standard deviation of the features': metrics.std_pooled,
    }
    report.table(
        ['', 'start', 'end'],
        [
            [name, f'{change.first:.3f}', f'{change.last:.3f}']
            for name, change in rows.items()
        ],
    )


def _add_commands(
    report: Report, cfg: Config, work_dir: Path, command: str
) -> None:
    report.section('On pictures of your own')
    report.text(
        'Any folder, on one GPU; model.queue_len at most half the number of '
        'pictures:'
    )
    report.code(
        f'python tools/train.py {FOLDER_CONFIG} \\\n'
        '    --cfg-options train_dataloader.dataset.dataset.sources=FOLDER '
        'model.queue_len=8192'
    )
    report.text('ImageNet in data/imagenet/train, on eight GPUs:')
    report.code(f'bash tools/dist_train.sh {IMAGENET_CONFIG} 8')
    report.section('This report again')
    report.code(command)
    report.text(f'The checkpoint is in {work_dir}.')
    report.details('The config, with everything it inherits', cfg.pretty_text)
