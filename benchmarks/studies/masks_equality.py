"""AP of the fast path and of MMDetection's, on two data sets.

Trains the Copy-Paste recipes of the nuclei and of the built-in sample, once as
shipped and once on MMDetection's data path (whole bitmaps, its transforms,
``MultiImageMixDataset`` and sampler, the same ``mmcp.CopyPaste``), with the
same weights to start from. Finished trainings are kept, interrupted ones
resume.

    python benchmarks/studies/masks_equality.py --seeds 0 1 --jobs 2

writes ``docs/results/masks_equality.md`` and ``masks_equality.json``.
"""

import argparse
import json
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from coco_ap import coco_ap
from mmengine.config import Config
from scipy.stats import t as student
from stock_path import on_stock_path
from training_cells import ROOT, run_cell, training_time

from mmcp.demo import make_sample

OURS, STOCK = 'mmcp', 'MMDetection'
PATHS: dict[str, Callable[[Config], Config]] = {
    OURS: lambda config: config,
    STOCK: on_stock_path,
}
METRICS = {
    'mask_ap': 'mask AP',
    'mask_ap50': 'mask AP50',
    'mask_ap75': 'mask AP75',
    'box_ap': 'box AP',
}
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Data:
    """A data set with its recipe.

    Args:
        config: The recipe with Copy-Paste, from the root of the repository.
        ann_file: Ground truth of the validation images, likewise.
        max_dets: Detections an image that count.
    """

    config: str
    ann_file: str
    max_dets: int


DATA = {
    'nuclei': Data(
        'configs/copy_paste/mask-rcnn_mobilenetv2_fpn_in1k-pre_1xb4-scp-300i'
        '_dsb2018-256.py',
        'data/dsb2018_nuclei/instances_val.json',
        300,
    ),
    'sample': Data(
        'configs/demo/mask-rcnn_r18_fpn_1xb4-lsj-scp-900i_demo-256.py',
        'data/demo/annotations/instances_val.json',
        100,
    ),
}


@dataclass(frozen=True)
class Measurement:
    """What one training gave.

    Args:
        data: Key of ``DATA``.
        path: Key of ``PATHS``.
        seed: Seed of weights, order and augmentation.
        iterations: Training steps.
        minutes: Time spent in them.
        metrics: AP in percent by the keys of ``METRICS``.
    """

    data: str
    path: str
    seed: int
    iterations: int
    minutes: float
    metrics: dict[str, float]


@dataclass(frozen=True)
class Difference:
    """How the two paths differ in one metric on one data set.

    Args:
        mean: Mean of ours minus mean of MMDetection's.
        margin: Half of the 95 % confidence interval of that (Student's t,
            equal variances); None for one seed.
    """

    mean: float
    margin: float | None

    @property
    def within_noise(self) -> bool | None:
        """Whether the interval holds 0; None for one seed."""
        return None if self.margin is None else abs(self.mean) <= self.margin


def shorten(config: Config, steps: int) -> Config:
    """Gives a recipe another length, its schedule in proportion.

    Args:
        config: A recipe with a warm-up and a cosine decay; changed.
        steps: Training steps.

    Returns:
        The config.
    """
    warm_up, decay = config.param_scheduler
    warm_up.end = decay.begin = min(warm_up.end, steps // 2)
    decay.end, decay.T_max = steps, steps - decay.begin
    config.train_cfg.update(max_iters=steps, val_interval=steps)
    logger = config.default_hooks.logger
    logger.interval = min(logger.interval, steps)
    return config


def write_config(data: str, path: str, steps: int, folder: Path) -> Path:
    """Writes the whole config of an arm.

    Args:
        data: Key of ``DATA``.
        path: Key of ``PATHS``.
        steps: Training steps.
        folder: Folder to write into, made if missing.

    Returns:
        Path of the config.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = shorten(Config.fromfile(ROOT / DATA[data].config), steps)
    file = folder / f'{data}_{path}.py'
    PATHS[path](config).dump(file)
    return file


def measure(
    data: str, path: str, seed: int, folder: Path, root: Path = ROOT
) -> Measurement:
    """Measures a finished training from the predictions it left.

    Args:
        data: Key of ``DATA``.
        path: Key of ``PATHS``.
        seed: Its seed.
        folder: Its folder.
        root: Where ``data/`` is. Defaults to the root of the repository.

    Returns:
        The measurement.
    """
    truth, count = root / DATA[data].ann_file, DATA[data].max_dets
    segm, bbox = (
        coco_ap(truth, folder / f'predictions.{kind}.json', kind, count)
        for kind in ('segm', 'bbox')
    )
    metrics = {
        'mask_ap': segm['ap'],
        'mask_ap50': segm['ap50'],
        'mask_ap75': segm['ap75'],
        'box_ap': bbox['ap'],
    }
    return Measurement(data, path, seed, *training_time(folder), metrics)


def compare(
    ours: Sequence[float], stock: Sequence[float], alpha: float = CONFIDENCE
) -> Difference:
    """Compares two groups of trainings.

    Args:
        ours: One value a seed.
        stock: As many.
        alpha: Confidence of the interval. Defaults to 0.95.

    Returns:
        Difference of the means, and how far off it may be.
    """
    number = len(ours)
    difference = mean(ours) - mean(stock)
    if number < 2:
        return Difference(difference, None)
    variance = (stdev(ours) ** 2 + stdev(stock) ** 2) / number
    quantile = student.ppf((1 + alpha) / 2, 2 * (number - 1))
    return Difference(difference, float(quantile) * variance**0.5)


def select(
    measurements: Sequence[Measurement], data: str, path: str, metric: str
) -> list[float]:
    """Values of one metric, in the order of the seeds.

    Args:
        measurements: All trainings.
        data: Key of ``DATA``.
        path: Key of ``PATHS``.
        metric: Key of ``METRICS``.

    Returns:
        One value a seed.
    """
    chosen = [m for m in measurements if (m.data, m.path) == (data, path)]
    return [m.metrics[metric] for m in sorted(chosen, key=lambda m: m.seed)]


def differences(
    measurements: Sequence[Measurement],
) -> dict[str, dict[str, Difference]]:
    """Compares the paths on every data set.

    Args:
        measurements: All trainings, both paths with the same seeds.

    Returns:
        The differences by data set and metric.

    Raises:
        ValueError: If a data set lacks a path or the seeds differ.
    """
    out: dict[str, dict[str, Difference]] = {}
    for data in dict.fromkeys(m.data for m in measurements):
        seeds = {
            path: sorted(
                (m.seed, m.iterations)
                for m in measurements
                if (m.data, m.path) == (data, path)
            )
            for path in PATHS
        }
        if seeds[OURS] != seeds[STOCK]:
            raise ValueError(
                f'{data}: both paths need the same seeds and steps, but have '
                f'{seeds}'
            )
        out[data] = {
            metric: compare(
                select(measurements, data, OURS, metric),
                select(measurements, data, STOCK, metric),
            )
            for metric in METRICS
        }
    return out


def make_table(measurements: Sequence[Measurement]) -> str:
    """Renders the measurements as a Markdown table.

    Args:
        measurements: All trainings.

    Returns:
        A row a training, then means with standard deviations, then the
        difference with its margin, for each data set.
    """
    rows = [['data', 'path', 'seed', *METRICS.values(), 'steps', 'minutes']]
    rows += [['---'] * len(rows[0])]
    for data, by_metric in differences(measurements).items():
        cells = [m for m in measurements if m.data == data]
        for m in sorted(cells, key=lambda m: (m.path != OURS, m.seed)):
            values = [f'{m.metrics[key]:.1f}' for key in METRICS]
            tail = [str(m.iterations), f'{m.minutes:.1f}']
            rows.append([data, m.path, str(m.seed), *values, *tail])
        for path in PATHS:
            groups = (select(cells, data, path, key) for key in METRICS)
            values = [f'**{_mean_and_std(group)}**' for group in groups]
            rows.append([data, path, 'mean', *values, '', ''])
        values = [_with_margin(by_metric[key]) for key in METRICS]
        rows.append([data, 'difference', '', *values, '', ''])
    return '\n'.join('| ' + ' | '.join(row) + ' |' for row in rows)


def _mean_and_std(values: Sequence[float]) -> str:
    if len(values) < 2:
        return f'{values[0]:.1f}'
    return f'{mean(values):.1f} ± {stdev(values):.1f}'


def _with_margin(difference: Difference) -> str:
    if difference.margin is None:
        return f'{difference.mean:+.1f}'
    return f'{difference.mean:+.1f} ± {difference.margin:.1f}'


_PAGE = """\
# The fast path trains as MMDetection's does

Made by `python benchmarks/studies/masks_equality.py {options}`; do not edit.

The Copy-Paste recipes of the nuclei and of the built-in sample were trained
for {steps} steps each, as shipped (`mmcp`) and on MMDetection's data path:
stock `LoadAnnotations`, `RandomResize`, `RandomCrop`, `FilterAnnotations`,
`RandomFlip`, `Pad`, `PackDetInputs`, `MultiImageMixDataset` and
`InfiniteSampler`, with every mask a bitmap of the whole image. Copy-Paste is
`mmcp.CopyPaste` on both. A seed gives both the same weights to start from;
images, jitter and pasted objects have the same distribution but are drawn
differently, so single runs differ as two seeds do.

{verdict}

{table}

- AP in percent, COCO, all validation images; 300 detections an image on the
  nuclei, 100 on the sample.
- `mean` rows: mean and sample standard deviation over the seeds. `difference`
  rows: ours minus MMDetection's and half the width of the {confidence:.0f} %
  confidence interval (Student's t). An interval with 0 in it shows no
  difference; how wide it is says how large a difference could hide.
- Minutes are those of the training steps, one thread a run, with {machine}.
- One difference is meant: `RandomCrop` makes every box from its mask,
  `mmcp.ScaleJitter` only those of objects that it cuts. It is below a pixel.

[masks_equality.json](masks_equality.json) holds the unrounded figures.
"""


def make_page(
    measurements: Sequence[Measurement], options: str, machine: str
) -> str:
    """Renders the record as a Markdown page.

    Args:
        measurements: All trainings.
        options: What the script was called with.
        machine: In words, on what it ran.

    Returns:
        The page.
    """
    steps = sorted({m.iterations for m in measurements})
    return _PAGE.format(
        options=options,
        steps=' or '.join(map(str, steps)),
        verdict=_verdict(measurements),
        table=make_table(measurements),
        confidence=100 * CONFIDENCE,
        machine=machine,
    )


def _verdict(measurements: Sequence[Measurement]) -> str:
    sentences = []
    for data, by_metric in differences(measurements).items():
        beyond = [
            METRICS[key]
            for key, difference in by_metric.items()
            if difference.within_noise is False
        ]
        if any(d.margin is None for d in by_metric.values()):
            what = 'one seed says nothing about noise'
        elif beyond:
            what = f'beyond the noise in {", ".join(beyond)}'
        else:
            what = 'no difference beyond the noise in any metric'
        sentences.append(f'On {data}: {what}.')
    return ' '.join(sentences)


def write_record(
    measurements: Sequence[Measurement], options: str, out: Path
) -> None:
    """Writes ``masks_equality.json`` and ``masks_equality.md``.

    Args:
        measurements: All trainings.
        options: What the script was called with.
        out: Folder.
    """
    machine = f'{os.cpu_count()} CPU cores ({platform.machine()})'
    record = {
        'machine': machine,
        'data': {name: asdict(data) for name, data in DATA.items()},
        'cells': [asdict(m) for m in measurements],
        'differences': {
            data: {key: asdict(value) for key, value in by_metric.items()}
            for data, by_metric in differences(measurements).items()
        },
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / 'masks_equality.json').write_text(
        json.dumps(record, indent=1) + '\n', encoding='utf-8'
    )
    (out / 'masks_equality.md').write_text(
        make_page(measurements, options, machine), encoding='utf-8'
    )


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1])
    parser.add_argument('--data', nargs='+', choices=DATA, default=[*DATA])
    parser.add_argument('--steps', type=int, default=300)
    parser.add_argument(
        '--jobs', type=int, default=2, help='trainings at a time'
    )
    parser.add_argument(
        '--work-dir', type=Path, default=Path('work_dirs/masks_equality')
    )
    parser.add_argument('--out', type=Path, default=ROOT / 'docs/results')
    return parser.parse_args()


def run_all(args: argparse.Namespace) -> Iterator[Measurement]:
    """Runs what is missing of the study.

    Args:
        args: From :func:`parse_args`.

    Yields:
        The measurements.
    """
    work_dir = args.work_dir.resolve()
    configs = {
        (data, path): write_config(
            data, path, args.steps, work_dir / 'configs'
        )
        for data, path in product(args.data, PATHS)
    }

    def run(cell: tuple[str, str, int]) -> dict[str, Any]:
        data, path, seed = cell
        return run_cell(
            work_dir / f'{data}_{path}_seed{seed}',
            configs[data, path],
            seed,
            lambda folder: asdict(measure(data, path, seed, folder)),
        )

    # Both paths of a seed side by side, so that their minutes compare.
    cells = [
        (data, path, seed)
        for data, seed, path in product(args.data, args.seeds, PATHS)
    ]
    with ThreadPoolExecutor(args.jobs) as pool:
        for kept in pool.map(run, cells):
            yield Measurement(**kept)


def main() -> None:
    """Runs the study and writes its record."""
    args = parse_args()
    if 'sample' in args.data:
        make_sample(ROOT / 'data/demo')
    measurements = list(run_all(args))
    seeds = ' '.join(map(str, args.seeds))
    options = (
        f'--data {" ".join(args.data)} --seeds {seeds} --steps {args.steps} '
        f'--jobs {args.jobs}'
    )
    write_record(measurements, options, args.out)
    print(make_table(measurements))


if __name__ == '__main__':
    main()
