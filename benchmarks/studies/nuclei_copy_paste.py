"""Nuclei with and without Copy-Paste: trains, measures, writes the record.

A cell is one recipe with one seed. Every cell is a run of ``tools/train.py``
in a folder of its own; finished cells are kept, an interrupted one resumes,
so the study can be stopped and started at will.

    python benchmarks/studies/nuclei_copy_paste.py --seeds 0 1 --jobs 2

writes ``docs/results/nuclei.md``, ``nuclei.json`` and two pictures.
"""

import argparse
import json
import os
import platform
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev

from coco_ap import coco_ap
from training_cells import ROOT, run_cell, training_time

_STEM = 'configs/copy_paste/mask-rcnn_mobilenetv2_fpn_in1k-pre_1xb4'
CONFIGS = {
    'baseline': f'{_STEM}-300i_dsb2018-256.py',
    'copy-paste': f'{_STEM}-scp-300i_dsb2018-256.py',
}
ANN_FILE = 'data/dsb2018_nuclei/instances_val.json'
MAX_DETS = 300
METRICS = {
    'mask_ap': 'mask AP',
    'mask_ap50': 'mask AP50',
    'mask_ap75': 'mask AP75',
    'box_ap': 'box AP',
    'mask_ap_at_100': 'mask AP, 100 per image',
}

BEGIN = '<!-- table: begin, made by nuclei_copy_paste.py -->'
END = '<!-- table: end -->'


@dataclass(frozen=True)
class Cell:
    """One training of the study.

    Args:
        arm: Key of ``CONFIGS``.
        seed: Seed of the weights that are not pretrained, of the order of
            the images and of the augmentation.
    """

    arm: str
    seed: int

    @property
    def name(self) -> str:
        """Name of the cell's folder."""
        return f'{self.arm}_seed{self.seed}'


@dataclass(frozen=True)
class Measurement:
    """What a cell gave.

    Args:
        arm: As in ``Cell``.
        seed: As in ``Cell``.
        iterations: Training steps.
        minutes: Time spent in training steps, without start-up and
            evaluation.
        metrics: AP in percent by the keys of ``METRICS``.
    """

    arm: str
    seed: int
    iterations: int
    minutes: float
    metrics: dict[str, float]


def measure(cell: Cell, folder: Path, ann_file: Path) -> Measurement:
    """Measures a finished cell from the predictions it left.

    Args:
        cell: The cell.
        folder: Its folder.
        ann_file: Ground truth.

    Returns:
        The measurement.
    """
    masks = folder / 'predictions.segm.json'
    boxes = folder / 'predictions.bbox.json'
    segm = coco_ap(ann_file, masks, 'segm', MAX_DETS)
    iterations, minutes = training_time(folder)
    metrics = {
        'mask_ap': segm['ap'],
        'mask_ap50': segm['ap50'],
        'mask_ap75': segm['ap75'],
        'box_ap': coco_ap(ann_file, boxes, 'bbox', MAX_DETS)['ap'],
        'mask_ap_at_100': coco_ap(ann_file, masks, 'segm', 100)['ap'],
    }
    return Measurement(cell.arm, cell.seed, iterations, minutes, metrics)


def run(cell: Cell, work_dir: Path) -> Measurement:
    """Trains a cell unless it is done, and measures it.

    Args:
        cell: The cell.
        work_dir: Folder of the whole study.

    Returns:
        The measurement.
    """
    kept = run_cell(
        work_dir / cell.name,
        Path(CONFIGS[cell.arm]),
        cell.seed,
        lambda folder: asdict(measure(cell, folder, ROOT / ANN_FILE)),
    )
    return Measurement(**kept)


def summarise(measurements: Sequence[Measurement]) -> dict[str, dict]:
    """Averages over the seeds.

    Args:
        measurements: All cells, every arm with the same seeds.

    Returns:
        ``mean`` and ``std`` (sample standard deviation, None for one seed)
        by arm and metric, and ``difference``: mean of Copy-Paste minus mean
        of the baseline by metric.

    Raises:
        ValueError: If the arms have different seeds or lengths.
    """
    by_arm = {
        arm: [m for m in measurements if m.arm == arm] for arm in CONFIGS
    }
    seeds = {arm: sorted(m.seed for m in ms) for arm, ms in by_arm.items()}
    if seeds['baseline'] != seeds['copy-paste'] or not seeds['baseline']:
        raise ValueError(f'the arms need the same seeds, but have {seeds}')
    if len({m.iterations for m in measurements}) > 1:
        raise ValueError('the cells were not trained for the same steps')
    values = {
        arm: {key: [m.metrics[key] for m in ms] for key in METRICS}
        for arm, ms in by_arm.items()
    }
    means = {
        arm: {key: mean(v) for key, v in by_key.items()}
        for arm, by_key in values.items()
    }
    stds = {
        arm: {
            key: stdev(v) if len(v) > 1 else None for key, v in by_key.items()
        }
        for arm, by_key in values.items()
    }
    difference = {
        key: means['copy-paste'][key] - means['baseline'][key]
        for key in METRICS
    }
    return {'mean': means, 'std': stds, 'difference': difference}


def make_table(measurements: Sequence[Measurement]) -> str:
    """Renders the measurements as a Markdown table.

    Args:
        measurements: All cells.

    Returns:
        The table: a row a cell, then the means and their difference.
    """
    summary = summarise(measurements)
    head = ['recipe', 'seed', *METRICS.values(), 'steps', 'minutes']
    rows = [head, ['---'] * len(head)]
    for m in sorted(measurements, key=lambda m: (m.arm, m.seed)):
        values = [f'{m.metrics[key]:.1f}' for key in METRICS]
        tail = [str(m.iterations), f'{m.minutes:.1f}']
        rows.append([m.arm, str(m.seed), *values, *tail])
    for arm in CONFIGS:
        values = [f'**{summary["mean"][arm][key]:.1f}**' for key in METRICS]
        rows.append([arm, 'mean', *values, '', ''])
    values = [f'{summary["difference"][key]:+.1f}' for key in METRICS]
    rows.append(['difference', '', *values, '', ''])
    return '\n'.join('| ' + ' | '.join(row) + ' |' for row in rows)


def write_record(measurements: Sequence[Measurement], out: Path) -> None:
    """Writes ``nuclei.json`` and the table in ``nuclei.md``.

    Args:
        measurements: All cells.
        out: Folder; its ``nuclei.md`` holds the two marker lines between
            which the table is replaced.

    Raises:
        ValueError: If ``nuclei.md`` lacks the markers.
    """
    record = {
        'machine': f'{os.cpu_count()} CPU cores, {platform.machine()}',
        'max_dets': MAX_DETS,
        'configs': CONFIGS,
        'cells': [asdict(m) for m in measurements],
        **summarise(measurements),
    }
    text = json.dumps(record, indent=1) + '\n'
    (out / 'nuclei.json').write_text(text, encoding='utf-8')
    page = out / 'nuclei.md'
    before, begin, rest = page.read_text(encoding='utf-8').partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f'{page}: the lines {BEGIN} and {END} are needed')
    table = make_table(measurements)
    page.write_text(
        f'{before}{begin}\n\n{table}\n\n{end}{after}', encoding='utf-8'
    )


def parse_args() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1])
    parser.add_argument(
        '--jobs', type=int, default=2, help='cells trained at a time'
    )
    parser.add_argument(
        '--work-dir', type=Path, default=Path('work_dirs/nuclei_study')
    )
    parser.add_argument('--out', type=Path, default=ROOT / 'docs/results')
    return parser.parse_args()


def main() -> None:
    """Runs what is missing of the study and writes its record."""
    args = parse_args()
    work_dir = args.work_dir.resolve()
    cells = [Cell(arm, seed) for seed in args.seeds for arm in CONFIGS]
    with ThreadPoolExecutor(args.jobs) as pool:
        measurements = list(pool.map(lambda c: run(c, work_dir), cells))
    write_record(measurements, args.out)
    print(make_table(measurements))


if __name__ == '__main__':
    main()
