"""Speed of Copy-Paste: MMDetection's path against ours, in one run.

Measures on real images, large scale jitter to 1024x1024, one core: whole
samples from the JPEG to the packed sample, the transform alone, mask targets,
a loader with two workers, sizes and peak memory. All peers take turns.

    python benchmarks/copy_paste.py --data ../shared/data/coco_small

prints the tables and whether the targets are met, and writes
``copy_paste_speed.json``, ``.md`` and ``.svg`` to ``docs/results``.
"""

import argparse
import datetime
import json
import os
import platform
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from copy_paste_speed.images import Images, find_images
from copy_paste_speed.measure import (
    QUICK,
    Amount,
    measure_loading,
    measure_memory,
    measure_samples,
    measure_targets,
    measure_transform,
)
from copy_paste_speed.pipelines import SIZE, run_on_one_core
from copy_paste_speed.report import chart, markdown, target_table
from copy_paste_speed.scenes import SceneMaker
from copy_paste_speed.targets import targets_of

import mmcp
from mmcp.functional import native

ROOT = Path(__file__).resolve().parents[1]
STEM = 'copy_paste_speed'
SECTIONS = ('samples', 'transform', 'targets', 'loading', 'memory')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--data',
        type=Path,
        default=Path('../shared/data/coco_small'),
        help='folder with annotations/ and train2017/ of COCO or an excerpt; '
        'the built-in sample is used if there is none',
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=ROOT / 'docs' / 'results',
        help='folder for the JSON, the report and the chart',
    )
    parser.add_argument(
        '--samples',
        type=int,
        default=Amount.samples,
        help='whole samples of each peer (default: %(default)s)',
    )
    parser.add_argument(
        '--only',
        nargs='+',
        choices=SECTIONS,
        default=SECTIONS,
        help='what to measure (default: all)',
    )
    parser.add_argument(
        '--quick',
        action='store_true',
        help='as little as possible, to see that it runs',
    )
    parser.add_argument(
        '--albumentationsx',
        metavar='PYTHON',
        help='a Python interpreter that has torch and '
        'albumentationsx[headless] (AGPL, so never installed beside mmcp)',
    )
    parser.add_argument(
        '--check',
        action='store_true',
        help='exit with 1 if a target is missed',
    )
    return parser.parse_args(argv)


def measure(args: argparse.Namespace, images: Images) -> dict[str, Any]:
    """Takes all measurements that were asked for.

    Args:
        args: The command line.
        images: The images.

    Returns:
        The sections by name, after ``setting``.
    """
    amount = QUICK if args.quick else Amount(samples=args.samples)
    maker = SceneMaker(images)
    tasks = {
        'samples': lambda: measure_samples(images, amount),
        'transform': lambda: measure_transform(
            maker, amount, args.albumentationsx
        ),
        'targets': lambda: measure_targets(maker, images, amount),
        'loading': lambda: measure_loading(images, amount),
        'memory': lambda: measure_memory(images, amount),
    }
    results: dict[str, Any] = {'setting': _setting(args, images)}
    for name in SECTIONS:
        if name in args.only:
            print(f'{name} ...', file=sys.stderr, flush=True)
            results[name] = tasks[name]()
    return results


def _setting(args: argparse.Namespace, images: Images) -> dict[str, Any]:
    options = f' --samples {args.samples}'
    options += ' --quick' if args.quick else ''
    if tuple(args.only) != SECTIONS:
        options += f' --only {shlex.join(args.only)}'
    if args.albumentationsx:
        options += ' --albumentationsx PYTHON'
    return {
        'command': f'python benchmarks/copy_paste.py{options}',
        'date': datetime.date.today().isoformat(),
        'images': images.name,
        'number': len(images.paths()),
        'size': SIZE,
        'cpu': _cpu(),
        'cores': os.cpu_count(),
        'load': os.getloadavg()[0],
        'versions': {
            'mmcp': _mmcp_version(),
            'mmdet': _mmdet_version(),
            'torch': torch.__version__,
            'opencv': cv2.__version__,
            'numpy': np.__version__,
            'Python': platform.python_version(),
        },
    }


def _mmcp_version() -> str:
    how = 'with' if native.compiled is not None else 'without'
    return f'{mmcp.__version__} {how} its compiled part'


def _mmdet_version() -> str:
    import mmdet

    return str(mmdet.__version__)


def _cpu() -> str:
    path = Path('/proc/cpuinfo')
    lines = path.read_text().splitlines() if path.is_file() else []
    for line in lines:
        if line.startswith('model name'):
            return line.partition(':')[2].strip()
    return platform.machine()


def write(results: dict[str, Any], folder: Path) -> None:
    """Writes the JSON, the report and the chart.

    Args:
        results: What was measured.
        folder: Where to; made when missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    record = dict(results)
    record['reached'] = [
        dict(vars(target), met=target.met) for target in targets_of(results)
    ]
    path = folder / STEM
    path.with_suffix('.json').write_text(json.dumps(record, indent=2) + '\n')
    path.with_suffix('.svg').write_text(chart(results))
    path.with_suffix('.md').write_text(markdown(results, f'{STEM}.svg'))


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, prints and writes.

    Args:
        argv: Command line. Defaults to None, meaning that of the process.

    Returns:
        1 if ``--check`` is given and a target is missed, else 0.
    """
    args = parse_args(argv)
    run_on_one_core()
    with tempfile.TemporaryDirectory() as folder:
        images = find_images(args.data, Path(folder) / 'sample')
        if images.classes is not None:
            print(
                f'note: {args.data} holds no annotations/instances_train2017'
                '.json, so the built-in sample is measured; the targets are '
                'meant for real images',
                file=sys.stderr,
            )
        results = measure(args, images)
    write(results, args.out)
    print(markdown(results, f'{STEM}.svg'))
    print(target_table(results))
    missed = not all(target.met for target in targets_of(results))
    return int(args.check and missed)


if __name__ == '__main__':
    sys.exit(main())
