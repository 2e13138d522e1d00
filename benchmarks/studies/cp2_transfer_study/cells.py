"""Pretrains, publishes and fine-tunes; what is done is not done again."""

import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from statistics import mean

from mmengine.config import Config
from training_cells import ROOT, run_cell, training_time

from cp2_transfer_study.recipes import (
    finetune_config,
    imagenet_checkpoint,
    pretrain_config,
)
from cp2_transfer_study.settings import ARMS, PRETRAININGS, Settings
from mmcp.visualization import read_scalars

# Whose first and last values tell how a pretraining went.
MONITORS = (
    'loss_instance',
    'loss_dense',
    'acc_instance',
    'acc_dense',
    'cos_fg_fg',
    'cos_fg_bg',
    'std_pooled',
    'std_pixels',
    'knn/top1',
)
METRICS = ('mIoU', 'mAcc', 'aAcc')
# Log entries at either end of a pretraining that are averaged.
_ENDS = 5
_LOADED = re.compile(r'Loaded (?:\w+ \d+ of \d+ tensors .*)$', re.MULTILINE)
_COUNTS = re.compile(r'(\w+) (\d+) of (\d+) tensors')


@dataclass(frozen=True)
class Pretraining:
    """What a pretraining gave.

    Attributes:
        method: ``'cp2'`` or ``'moco'``.
        epochs: Passes through the images.
        iterations: The last training step that was logged.
        minutes: Time spent in them.
        monitors: From the name of a monitor to its means over the first and
            the last entries of the log.
    """

    method: str
    epochs: int
    iterations: int
    minutes: float
    monitors: dict[str, list[float]]


@dataclass(frozen=True)
class FineTuning:
    """What a fine-tuning gave.

    Attributes:
        target: Key of ``TARGETS``.
        arm: Key of ``ARMS``.
        seed: Seed of all that is random.
        iterations: Training steps.
        minutes: Time spent in them.
        metrics: Percent by the names in ``METRICS``.
        loaded: The log's line about the weights that were loaded, from
            ``Loaded`` on and with the file's name only; empty for random
            weights.
    """

    target: str
    arm: str
    seed: int
    iterations: int
    minutes: float
    metrics: dict[str, float]
    loaded: str


@dataclass(frozen=True)
class Study:
    """Where the cells of a study are, and how large they are.

    Attributes:
        data: Folder of all data.
        work_dir: Folder of the study.
        settings: How large everything is.
    """

    data: Path
    work_dir: Path
    settings: Settings

    def pretrain(self, method: str) -> Pretraining:
        """Pretrains, unless it is done.

        Args:
            method: ``'cp2'`` or ``'moco'``.

        Returns:
            What it gave.
        """
        config = pretrain_config(self.data, method, self.settings)
        folder = self.work_dir / method
        kept = run_cell(
            folder,
            self._write(config, method),
            0,
            lambda folder: asdict(
                measure_pretraining(folder, method, self.settings.epochs)
            ),
            keep_predictions=False,
        )
        return Pretraining(**kept)

    def publish(self, method: str) -> Path:
        """Makes the file to fine-tune from, unless it is there.

        Args:
            method: ``'cp2'`` or ``'moco'``, pretrained.

        Returns:
            Path of the file, from ``tools/release/publish_model.py``.

        Raises:
            RuntimeError: If it fails.
        """
        # Beside what it is made of, so that neither outlives the other.
        folder = self.work_dir / method / 'published'
        stem = f'transfer-{method}'
        found = sorted(folder.glob(f'{stem}_*.pth'))
        if not found:
            epochs = self.settings.epochs
            run_tool(
                'tools/release/publish_model.py',
                self.work_dir / method / f'epoch_{epochs}.pth',
                '--config',
                self.work_dir / 'configs' / f'{stem}.py',
                '--out-dir',
                folder,
                log=self.work_dir / method / 'publish.log',
            )
            found = sorted(folder.glob(f'{stem}_*.pth'))
        return found[-1]

    def checkpoint(self, arm: str) -> Path | None:
        """Finds what an arm starts from, all pretrainings being done.

        Args:
            arm: Key of ``ARMS``.

        Returns:
            The file; None for random weights.
        """
        source = ARMS[arm].source
        if source == 'imagenet':
            return imagenet_checkpoint(self.data)
        return None if source is None else self.publish(source)

    def finetune(self, target: str, arm: str, seed: int) -> FineTuning:
        """Fine-tunes, unless it is done.

        Args:
            target: Key of ``TARGETS``.
            arm: Key of ``ARMS``.
            seed: Seed of all that is random.

        Returns:
            What it gave.
        """
        start = self.checkpoint(arm)
        config = finetune_config(self.data, target, arm, start, self.settings)
        kept = run_cell(
            self.work_dir / f'{target}_{arm}_seed{seed}',
            self._write(config, f'{target}-{arm}'),
            seed,
            lambda folder: asdict(
                measure_finetuning(folder, target, arm, seed)
            ),
            keep_predictions=False,
        )
        return FineTuning(**kept)

    def run(
        self, targets: Sequence[str], arms: Sequence[str], seeds: Sequence[int]
    ) -> list[FineTuning]:
        """Runs all that is missing, a seed after the other.

        Args:
            targets: Keys of ``TARGETS``.
            arms: Keys of ``ARMS``.
            seeds: Seeds of the fine-tuning.

        Returns:
            What each fine-tuning gave.
        """
        sources = {ARMS[arm].source for arm in arms}
        for method in PRETRAININGS:
            if method in sources:
                self.pretrain(method)
        cells = list(product(seeds, targets, arms))
        results = []
        for number, (seed, target, arm) in enumerate(cells, 1):
            print(f'fine-tuning {number} of {len(cells)}', flush=True)
            results.append(self.finetune(target, arm, seed))
        return results

    def _write(self, config: Config, name: str) -> Path:
        folder = self.work_dir / 'configs'
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f'transfer-{name}.py'
        config.dump(path)
        return path


def run_tool(tool: str, *words: str | Path, log: Path) -> None:
    """Runs a tool of the repository.

    Args:
        tool: Its path from the root of the repository.
        words: Its command line.
        log: File for what it prints.

    Raises:
        RuntimeError: If it fails.
    """
    with log.open('w', encoding='utf-8') as stream:
        status = subprocess.run(
            [sys.executable, tool, *map(str, words)],
            cwd=ROOT,
            stdout=stream,
            stderr=subprocess.STDOUT,
        ).returncode
    if status:
        raise RuntimeError(f'{tool} failed with status {status}: {log}')


def measure_pretraining(folder: Path, method: str, epochs: int) -> Pretraining:
    """Reads how a pretraining went.

    Args:
        folder: Its folder.
        method: ``'cp2'`` or ``'moco'``.
        epochs: Passes through the images.

    Returns:
        The measurement.
    """
    scalars = read_scalars(folder)
    monitors = {}
    for name in MONITORS:
        values = [value for _, value in scalars.get(name, [])]
        if values:
            count = 1 if name == 'knn/top1' else _ENDS
            monitors[name] = [mean(values[:count]), mean(values[-count:])]
    return Pretraining(method, epochs, *training_time(folder), monitors)


def measure_finetuning(
    folder: Path, target: str, arm: str, seed: int
) -> FineTuning:
    """Reads what a fine-tuning gave.

    Args:
        folder: Its folder.
        target: Key of ``TARGETS``.
        arm: Key of ``ARMS``.
        seed: Its seed.

    Returns:
        The measurement.

    Raises:
        RuntimeError: If it has not loaded all of what the arm starts from.
    """
    scalars = read_scalars(folder)
    metrics = {name: scalars[name][-1][1] for name in METRICS}
    text = (folder / 'train.log').read_text(encoding='utf-8')
    loaded = loaded_line(text, arm)
    return FineTuning(
        target, arm, seed, *training_time(folder), metrics, loaded
    )


def loaded_line(log: str, arm: str) -> str:
    """Finds what was loaded, and sees that it is all.

    Args:
        log: Text of a training's log.
        arm: Key of ``ARMS``.

    Returns:
        The last such line, folders left out; empty for random weights.

    Raises:
        RuntimeError: If other parts were loaded than the arm's, or not all
            of them.
    """
    lines = _LOADED.findall(log)
    line = lines[-1] if lines else ''
    counts = {part: (n, of) for part, n, of in _COUNTS.findall(line)}
    source = ARMS[arm].source
    wanted = [] if source is None else ARMS[arm].part.split('+')
    if list(counts) != wanted or any(n != of for n, of in counts.values()):
        raise RuntimeError(
            f"'{arm}' must load all of {wanted}, but its log says {line!r}"
        )
    return re.sub(r'(?<= from )\S*/', '', line)
