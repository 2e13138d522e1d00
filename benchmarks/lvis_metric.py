"""Speed and memory of LVIS's evaluation: ours against the official one.

Evaluates made-up detections, 300 in each image, as many as LVIS's validation
set would have, with ``mmcp.LVISMetric``, with the official package ``lvis``
and with the mode for LVIS of ``faster-coco-eval``. Each runs in a process of
its own.

    pip install --no-deps --target FOLDER lvis==0.5.3
    python benchmarks/lvis_metric.py --lvis FOLDER

writes ``lvis_metric.json`` and ``lvis_metric.md`` to ``docs/results`` after
each measurement; those that are there already, of the same versions and
seed, are kept unless ``--fresh`` is given. Without ``--lvis`` the official
package is left out, unless it is installed.
"""

import argparse
import datetime
import importlib.util
import itertools
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from copy_paste_speed.report import table
from lvis_metric_speed.images import PER_IMAGE
from lvis_metric_speed.peers import FASTER, NAMES, OFFICIAL, OURS

ROOT = Path(__file__).resolve().parents[1]
STEM = 'lvis_metric'
METRICS = {'bbox': 'Boxes', 'segm': 'Masks'}
EQUAL = 1e-6
FASTER_BY = 5

Result = dict[str, Any]


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--images',
        type=int,
        nargs='+',
        default=[1000, 5000],
        help='numbers of images for all peers (default: 1000 5000)',
    )
    parser.add_argument(
        '--ours-images',
        type=int,
        nargs='*',
        default=[20000],
        help='numbers of images for mmcp alone (default: 20000)',
    )
    parser.add_argument(
        '--lvis', type=Path, help='folder with the official package'
    )
    parser.add_argument(
        '--seed', type=int, default=0, help='(default: %(default)s)'
    )
    parser.add_argument(
        '--fresh', action='store_true', help='measure all of it again'
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=ROOT / 'docs' / 'results',
        help='folder for the JSON and the page',
    )
    return parser.parse_args(argv)


def measure(
    peer: str, metric: str, images: int, seed: int, lvis: Path | None
) -> Result:
    """Runs one evaluation in a process of its own.

    Args:
        peer: Who evaluates.
        metric: ``'bbox'`` or ``'segm'``.
        images: Number of images.
        seed: Of all random numbers.
        lvis: Folder with the official package; None if it is installed.

    Returns:
        What :func:`lvis_metric_speed.peers.measure` returns.
    """
    environment = dict(os.environ, OMP_NUM_THREADS='1')
    if lvis is not None:
        environment['PYTHONPATH'] = str(lvis.resolve())
    words = [peer, metric, str(images), str(seed)]
    done = subprocess.run(
        [sys.executable, '-m', 'lvis_metric_speed.peers', *words],
        cwd=Path(__file__).parent,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: Result = json.loads(done.stdout.splitlines()[-1])
    return found


def markdown(results: Result) -> str:
    """Writes the report.

    Args:
        results: What was measured.

    Returns:
        Markdown.
    """
    parts = ['# Evaluation of LVIS\n', _preface(results['setting'])]
    for metric, title in METRICS.items():
        rows = [one for one in results['rows'] if one['metric'] == metric]
        if rows:
            parts += [f'## {title}\n', _table(rows)]
    parts.append(_verdict(results['rows']))
    return '\n'.join(parts)


def _preface(setting: Result) -> str:
    return (
        f'Made by `{setting["command"]}` on {setting["date"]}: {PER_IMAGE} '
        'detections in each image, half of them of categories that count '
        f'there; {setting["versions"]}; {setting["cpu"]}, load '
        f'{setting["load"]:.1f} from other work. CPU time is that of all '
        'threads, from reading the annotation file to the results, without '
        'the making of detections. Memory is the largest above what the '
        'process held before; peers other than mmcp want all detections at '
        'once. The last column is the largest difference of the nine APs to '
        'the official ones (to mmcp where these were not measured).\n'
    )


def _table(rows: Sequence[Result]) -> str:
    head = ['images', 'peer', 'CPU s', 'clock s', 'MB', 'speed', 'difference']
    cells = []
    for one in rows:
        reference = _reference(rows, one)
        ratio = reference['cpu_s'] / one['cpu_s']
        cells.append(
            [
                f'{one["images"]}',
                one['peer'],
                f'{one["cpu_s"]:.1f}',
                f'{one["wall_s"]:.1f}',
                f'{one["peak_mb"]:.0f}',
                '' if reference is one else f'{ratio:.1f}x',
                ''
                if reference is one
                else f'{difference(reference, one):.1g}',
            ]
        )
    return table(head, cells)


def _reference(rows: Sequence[Result], row: Result) -> Result:
    """What the official package found in the same images, or else ours."""
    peers = {
        one['peer']: one
        for one in rows
        if (one['images'], one['metric']) == (row['images'], row['metric'])
    }
    found: Result = peers.get(OFFICIAL, peers.get(OURS, row))
    return found


def difference(first: Result, second: Result) -> float:
    """Largest difference of two evaluations' APs."""
    return max(
        abs(first['results'][name] - second['results'][name]) for name in NAMES
    )


def _verdict(rows: Sequence[Result]) -> str:
    pairs = [
        (_reference(rows, one), one) for one in rows if one['peer'] == OURS
    ]
    pairs = [pair for pair in pairs if pair[0]['peer'] == OFFICIAL]
    if not pairs:
        return 'The official package was not there to compare with.\n'
    speed = min(one['cpu_s'] / ours['cpu_s'] for one, ours in pairs)
    equal = max(difference(*pair) for pair in pairs)
    return (
        f'Equal to the official results to {EQUAL:g}: '
        f'{"yes" if equal <= EQUAL else "NO"} ({equal:.1g}). At least '
        f'{FASTER_BY} times as fast: {"yes" if speed >= FASTER_BY else "NO"} '
        f'({speed:.1f}x).\n'
    )


def _setting(args: argparse.Namespace) -> Result:
    names = ('mmcp', FASTER, 'numpy', 'pycocotools')
    versions = ', '.join(f'{name} {metadata.version(name)}' for name in names)
    words = ['python benchmarks/lvis_metric.py --images', *args.images]
    words += ['--ours-images', *args.ours_images]
    # Where this machine keeps the package is of no interest.
    words += ['--lvis FOLDER'] if args.lvis else []
    return dict(
        command=' '.join(map(str, words)),
        date=f'{datetime.date.today():%Y-%m-%d}',
        versions=f'{versions}, Python {platform.python_version()}',
        cpu=f'{os.cpu_count()} cores',
        load=os.getloadavg()[0],
        seed=args.seed,
    )


def _key(row: Result) -> tuple[str, str, int]:
    return row['peer'], row['metric'], row['images']


def _finished(path: Path, setting: Result) -> dict[Any, Result]:
    """What an earlier run has measured of the same."""
    if not path.exists():
        return {}
    found = json.loads(path.read_text())
    same = all(
        found['setting'][key] == setting[key] for key in ('versions', 'seed')
    )
    return {_key(row): row for row in found['rows']} if same else {}


def _write(path: Path, setting: Result, rows: Iterable[Result]) -> None:
    order = [OURS, OFFICIAL, FASTER]
    ordered = sorted(
        rows,
        key=lambda row: (
            row['metric'],
            row['images'],
            order.index(row['peer']),
        ),
    )
    results = dict(setting=setting, rows=ordered)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + '\n')
    path.with_suffix('.md').write_text(markdown(results))


def main(argv: Sequence[str] | None = None) -> int:
    """Measures and writes the report.

    Args:
        argv: Command line. Defaults to None, meaning the process's own.

    Returns:
        0.
    """
    args = parse_args(argv)
    setting = _setting(args)
    peers = [OURS, OFFICIAL, FASTER]
    if args.lvis is None and importlib.util.find_spec('lvis') is None:
        peers.remove(OFFICIAL)
    cases = [*itertools.product(args.images, peers)]
    cases += [(images, OURS) for images in args.ours_images]
    path = args.out / f'{STEM}.json'
    finished = {} if args.fresh else _finished(path, setting)
    for metric, (images, peer) in itertools.product(METRICS, cases):
        key = peer, metric, images
        if key not in finished:
            finished[key] = measure(*key, args.seed, args.lvis)
            _write(path, setting, finished.values())
    print(path.with_suffix('.md').read_text())
    return 0


if __name__ == '__main__':
    sys.exit(main())
