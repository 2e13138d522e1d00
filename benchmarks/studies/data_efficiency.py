r"""Copy-Paste and the number of images: Figure 5 of the paper, at small scale.

Trains Mask R-CNN on parts of the nuclei and of the built-in sample, with
standard and large scale jitter (SSJ, LSJ), each with and without Copy-Paste.
Every cell is a run of ``tools/train.py`` in a folder of its own, some minutes
on a GPU; finished cells are kept, an interrupted one resumes, so the study
can be stopped and started at will, and extended by calling it again.

    python benchmarks/studies/data_efficiency.py --data nuclei --percents 10 \
        --jitters lsj --seeds 0 1 2 --steps 100

writes ``docs/results/data_efficiency.md``, ``.json`` and ``.svg`` from all
cells that are done.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import efficiency_report as report
import torch
from coco_ap import coco_ap
from efficiency_cells import (
    ARMS,
    DATA,
    JITTERS,
    SUBSET_SEED,
    Cell,
    count_objects,
    write_config,
)
from training_cells import ROOT, run_cell, training_time

from mmcp.demo import make_sample

NAME = 'data_efficiency'
WORK_DIR = Path('work_dirs/data_efficiency')


@dataclass(frozen=True)
class Measurement:
    """What a cell gave.

    Args:
        data: As in ``Cell``.
        percent: As in ``Cell``.
        jitter: As in ``Cell``.
        arm: As in ``Cell``.
        seed: As in ``Cell``.
        size: Side of the training images in pixels.
        images: Training images.
        objects: Their objects, crowds left out.
        iterations: Training steps.
        minutes: Time spent in them, without start-up and evaluation.
        machine: On what.
        metrics: AP in percent: ``box_ap``, ``mask_ap``, ``box_ap50`` and
            ``mask_ap50``.
    """

    data: str
    percent: int
    jitter: str
    arm: str
    seed: int
    size: int
    images: int
    objects: int
    iterations: int
    minutes: float
    machine: str
    metrics: dict[str, float]


def measure_ap(folder: Path, truth: Path, max_dets: int) -> dict[str, float]:
    """Measures the predictions that a training left.

    Args:
        folder: Its folder.
        truth: Annotations of the validation images, COCO JSON.
        max_dets: Detections an image that count.

    Returns:
        ``box_ap``, ``mask_ap``, ``box_ap50`` and ``mask_ap50`` in percent.
    """
    box, mask = (
        coco_ap(truth, folder / f'predictions.{kind}.json', kind, max_dets)
        for kind in ('bbox', 'segm')
    )
    return {
        'box_ap': box['ap'],
        'mask_ap': mask['ap'],
        'box_ap50': box['ap50'],
        'mask_ap50': mask['ap50'],
    }


def describe_machine() -> str:
    """Says on what trainings run here."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f'one thread of {os.cpu_count()} CPU cores ({platform.machine()})'


def measure(
    cell: Cell, size: int, folder: Path, root: Path = ROOT
) -> Measurement:
    """Measures a finished cell.

    Args:
        cell: The cell.
        size: Side of its training images in pixels.
        folder: Its folder.
        root: Where ``data/`` is. Defaults to the root of the repository.

    Returns:
        The measurement.
    """
    data = DATA[cell.data]
    images, objects = count_objects(root / data.train_file, cell.percent)
    iterations, minutes = training_time(folder)
    return Measurement(
        **asdict(cell),
        size=size,
        images=images,
        objects=objects,
        iterations=iterations,
        minutes=minutes,
        machine=describe_machine(),
        metrics=measure_ap(folder, root / data.val_file, data.max_dets),
    )


def run(
    cell: Cell, steps: int | None, size: int | None, work_dir: Path
) -> Measurement:
    """Trains a cell unless it is done, and measures it.

    Args:
        cell: The cell.
        steps: Training steps, None for as many as the recipe has.
        size: Side of the training images in pixels, None for the recipe's.
        work_dir: Folder of the whole study, absolute.

    Returns:
        The measurement.
    """
    data = DATA[cell.data]
    side = size or data.size
    config = write_config(
        cell, steps or data.steps, side, work_dir / 'configs'
    )
    kept = run_cell(
        work_dir / cell.name,
        config,
        cell.seed,
        lambda folder: asdict(measure(cell, side, folder)),
    )
    return Measurement(**kept)


def plan(args: argparse.Namespace) -> list[Cell]:
    """Lists the cells that were asked for.

    Args:
        args: From :func:`parse_args`.

    Returns:
        The cells, seed by seed, both arms of a pair side by side.

    Raises:
        ValueError: If a data set has no such part.
    """
    cells = []
    for seed, data in product(args.seeds, args.data):
        percents = args.percents or DATA[data].percents
        unknown = sorted(set(percents) - set(DATA[data].percents))
        if unknown:
            raise ValueError(
                f'{data} is studied at {DATA[data].percents} percent, '
                f'not at {unknown}'
            )
        cells += [
            Cell(data, percent, jitter, arm, seed)
            for percent, jitter, arm in product(percents, args.jitters, ARMS)
        ]
    return cells


def run_all(args: argparse.Namespace) -> Iterator[Measurement]:
    """Runs what is missing and says how far it is.

    Args:
        args: From :func:`parse_args`.

    Yields:
        The measurements.
    """
    cells = plan(args)
    start = time.monotonic()
    with ThreadPoolExecutor(args.jobs) as pool:
        done = pool.map(
            lambda c: run(c, args.steps, args.size, args.work_dir.resolve()),
            cells,
        )
        for number, measurement in enumerate(done, 1):
            minutes = (time.monotonic() - start) / 60
            print(
                f'[{number}/{len(cells)}] {cells[number - 1].name}: '
                f'box AP {measurement.metrics["box_ap"]:.1f}, '
                f'mask AP {measurement.metrics["mask_ap"]:.1f}; '
                f'{measurement.minutes:.1f} min of steps; about '
                f'{minutes / number * (len(cells) - number):.0f} min left',
                flush=True,
            )
            yield measurement


def read_finished(work_dir: Path) -> list[Measurement]:
    """Reads the measurements of all cells that are done.

    Args:
        work_dir: Folder of the study.

    Returns:
        The measurements, in the order of the cells' names.
    """
    return [
        Measurement(**json.loads(file.read_text(encoding='utf-8')))
        for file in sorted(work_dir.glob('*_seed*/measurement.json'))
    ]


def write_record(measurements: Sequence[Measurement], out: Path) -> None:
    """Writes the JSON, the chart, and the tables in the page.

    Args:
        measurements: All cells that are done.
        out: Folder; its ``data_efficiency.md`` holds the marker lines between
            which the tables are replaced.

    Raises:
        ValueError: If the page lacks the markers.
    """
    gains = [
        dict(
            zip(('data', 'percent', 'jitter'), key, strict=True),
            **{metric: asdict(value) for metric, value in by_metric.items()},
        )
        for key, by_metric in report.differences(measurements).items()
    ]
    record = {
        'data': {name: asdict(data) for name, data in DATA.items()},
        'jitters': {name: asdict(j) for name, j in JITTERS.items()},
        'subset_seed': SUBSET_SEED,
        'cells': [asdict(m) for m in measurements],
        'gains': gains,
    }
    text = json.dumps(record, indent=1) + '\n'
    (out / f'{NAME}.json').write_text(text, encoding='utf-8')
    chart = report.chart(measurements)
    (out / f'{NAME}.svg').write_text(chart, encoding='utf-8')
    page = out / f'{NAME}.md'
    tables = {
        'summary': report.make_table(measurements),
        'cells': report.make_cell_table(measurements),
    }
    text = report.replace_tables(page.read_text(encoding='utf-8'), tables)
    page.write_text(text, encoding='utf-8')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--data', nargs='+', choices=DATA, default=[*DATA])
    parser.add_argument(
        '--percents',
        type=int,
        nargs='+',
        help='parts of the training images; by default all of the study',
    )
    parser.add_argument(
        '--jitters', nargs='+', choices=JITTERS, default=[*JITTERS]
    )
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument(
        '--steps', type=int, help="training steps; by default the recipe's"
    )
    parser.add_argument(
        '--size',
        type=int,
        help="side of the training images in pixels; by default the recipe's",
    )
    parser.add_argument(
        '--jobs', type=int, default=1, help='cells trained at a time'
    )
    parser.add_argument('--work-dir', type=Path, default=WORK_DIR)
    parser.add_argument('--out', type=Path, default=ROOT / 'docs/results')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs what is missing of the study and writes its record."""
    args = parse_args(argv)
    if 'sample' in args.data:
        make_sample(ROOT / 'data/demo')
    for _ in run_all(args):
        pass
    measurements = read_finished(args.work_dir)
    write_record(measurements, args.out)
    print(report.make_table(measurements))


if __name__ == '__main__':
    main()
