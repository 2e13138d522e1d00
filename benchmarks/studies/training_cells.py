"""Trainings of a study, each a run of ``tools/train.py`` in its own folder.

Finished ones are kept and interrupted ones resume, so that a study can be
stopped and started at will.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.config import Config

ROOT = Path(__file__).resolve().parents[2]


def run_cell(
    folder: Path,
    config: Path,
    seed: int,
    measure: Callable[[Path], dict[str, Any]],
    *,
    keep_predictions: bool = True,
) -> dict[str, Any]:
    """Trains a cell unless it is done, and measures it.

    Args:
        folder: Folder of the cell, made if missing.
        config: What to train.
        seed: Seed of the weights that are not pretrained, of the order of
            the images and of the augmentation.
        measure: Gives what is to be kept, from the folder in which the
            training left ``predictions.segm.json`` and
            ``predictions.bbox.json``.
        keep_predictions: Whether it leaves these; for detectors. Defaults to
            True.

    Returns:
        What ``measure`` gave; also kept as ``measurement.json`` in the
        folder, which marks the cell as done.

    Raises:
        RuntimeError: If the training fails.
        ValueError: If the folder holds a run of another config.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, config)
    done = folder / 'measurement.json'
    if done.is_file():
        return json.loads(done.read_text(encoding='utf-8'))
    _train(folder, train_command(folder, config, seed, keep_predictions))
    measurement = measure(folder)
    done.write_text(json.dumps(measurement, indent=1), encoding='utf-8')
    print(f'{folder.name}: {measurement}', flush=True)
    return measurement


def train_command(
    folder: Path, config: Path, seed: int, keep_predictions: bool = True
) -> list[str]:
    """Builds the command that trains and evaluates a cell.

    Args:
        folder: Folder of the cell.
        config: What to train.
        seed: Seed of everything.
        keep_predictions: Whether a detector's predictions are kept. Defaults
            to True.

    Returns:
        Arguments for ``subprocess``, to be run in the repository's root.
    """
    command = [
        sys.executable,
        'tools/train.py',
        str(config),
        '--work-dir',
        str(folder),
        '--resume',
        '--seed',
        str(seed),
    ]
    if keep_predictions:
        prefix = f'val_evaluator.outfile_prefix={folder}/predictions'
        command += ['--cfg-options', prefix]
    return command


def training_time(folder: Path) -> tuple[int, float]:
    """Reads how long the steps of a run took, resumed runs included.

    Args:
        folder: Work folder with mmengine's ``*/vis_data/scalars.json``.

    Returns:
        Number of steps, and minutes spent in them.

    Raises:
        FileNotFoundError: If the folder has no such file.
    """
    files = sorted(folder.glob('*/vis_data/scalars.json'))
    if not files:
        raise FileNotFoundError(f'{folder}: no */vis_data/scalars.json')
    step_time: dict[int, float] = {}
    for file in files:
        for line in file.read_text(encoding='utf-8').splitlines():
            record = json.loads(line)
            if 'loss' in record:
                step_time[record['step']] = record['time']
    seconds = 0.0
    previous = 0
    for step in sorted(step_time):
        seconds += (step - previous) * step_time[step]
        previous = step
    return previous, seconds / 60


def _train(folder: Path, command: list[str]) -> None:
    log = folder / 'train.log'
    print(f'{folder.name}: training, log in {log}', flush=True)
    with log.open('a', encoding='utf-8') as stream:
        status = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, 'OMP_NUM_THREADS': '1'},
            stdout=stream,
            stderr=subprocess.STDOUT,
        ).returncode
    if status:
        raise RuntimeError(f'{folder.name} failed with status {status}: {log}')


def _claim(folder: Path, config: Path) -> None:
    """Marks a folder as one config's, or refuses it if it is another's."""
    text = Config.fromfile(ROOT / config).pretty_text
    digest = hashlib.sha256(text.encode()).hexdigest()
    mark = folder / 'config.sha256'
    if mark.is_file() and mark.read_text(encoding='utf-8') != digest:
        raise ValueError(
            f'{folder} holds a run of another config than {config} is now; '
            'remove the folder or choose another --work-dir'
        )
    mark.write_text(digest, encoding='utf-8')
