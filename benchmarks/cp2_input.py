"""Speed of CP2's input pipeline: the released one against ours, in one run.

Measures on photographs, views of 224x224, one core: whole samples from the
JPEG files to what is handed to the training, with backgrounds from the data
set and from the batch, with all augmentation in the worker or the colours left
to the device. All take turns.

    python benchmarks/cp2_input.py --images ../shared/data/caltech101_sub

prints the tables and whether the targets are met, and writes
``cp2_input.json``, ``.md`` and ``.svg`` to ``docs/results``.
"""

import argparse
import datetime
import json
import os
import platform
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL
import torch
from copy_paste_speed.timing import alternate, summary
from cp2_input_speed.distributions import MEASURES, measure_views
from cp2_input_speed.peers import RELEASED, make_peers
from cp2_input_speed.reference import draw_params, make_view, read_image
from cp2_input_speed.report import chart, markdown, targets_of
from numpy.typing import NDArray
from scipy import stats

import mmcp
from mmcp.functional.views import (
    ViewSettings,
    augment_view,
    crop_view,
    draw_view,
)

ROOT = Path(__file__).resolve().parents[1]
STEM = 'cp2_input'
PLACES = ('data/caltech101_sub', '../shared/data/caltech101_sub')
SIZE = 224


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--images',
        type=Path,
        help='folder of JPEG photographs (default: the first that exists of '
        f'{", ".join(PLACES)})',
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=ROOT / 'docs' / 'results',
        help='folder for the JSON, the page and the chart',
    )
    parser.add_argument(
        '--repeats',
        type=int,
        default=40,
        help='repetitions of each pipeline (default: %(default)s)',
    )
    parser.add_argument(
        '--chunk',
        type=int,
        default=20,
        help='samples in a repetition (default: %(default)s)',
    )
    parser.add_argument(
        '--views',
        type=int,
        default=1500,
        help='views whose looks are compared (default: %(default)s)',
    )
    parser.add_argument(
        '--check',
        action='store_true',
        help='exit with 1 if a target is missed',
    )
    return parser.parse_args(argv)


def find_images(folder: Path | None) -> tuple[Path, list[Path]] | None:
    """Finds the photographs.

    Args:
        folder: Where, None for the usual places.

    Returns:
        The folder and its JPEG files; None if there are fewer than two.
    """
    places = [Path(place) for place in PLACES] if folder is None else [folder]
    for place in places:
        paths = sorted(place.rglob('*.jpg'))
        if len(paths) > 1:
            return place, paths
    return None


def measure_samples(
    folder: Path, paths: Sequence[Path], repeats: int, chunk: int
) -> dict[str, Any]:
    """Times whole samples.

    Args:
        folder: The images.
        paths: The same, one by one.
        repeats: Repetitions of each pipeline.
        chunk: Samples in a repetition.

    Returns:
        For each pipeline milliseconds a sample, samples a second and the
        ratio of these to the released pipeline's.
    """
    times = alternate(make_peers(folder, paths, chunk), repeats, apart=True)
    result = {}
    for name, taken in times.items():
        found = summary(taken)
        result[name] = {
            'milliseconds': found['median'] / chunk,
            'p95': found['p95'] / chunk,
            'clock': found['wall_median'] / chunk,
            'per_second': 1e3 * chunk / found['median'],
        }
    slow = result[RELEASED]['milliseconds']
    for values in result.values():
        values['ratio'] = slow / values['milliseconds']
    return result


def measure_looks(paths: Sequence[Path], number: int) -> dict[str, Any]:
    """Compares views of the released pipeline with ours.

    Both make each view from the same parameters, which are drawn by the one
    and the other in turns.

    Args:
        paths: The images.
        number: Views of each.

    Returns:
        Means of both, mean and standard error of their difference, and the
        distance of Kolmogorov and Smirnov, for each of ``MEASURES``.
    """
    random.seed(0)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    settings = ViewSettings()
    theirs, ours = [], []
    for turn, place in enumerate(rng.integers(len(paths), size=number)):
        image = read_image(paths[place])
        size = image.size[::-1]
        if turn % 2:
            params = draw_params(size, settings)
        else:
            params = draw_view(rng, size, settings)
        theirs.append(np.asarray(make_view(image, params, SIZE)))
        crop = crop_view(np.asarray(image), params, (SIZE, SIZE))
        ours.append(augment_view(crop, params))
    pair = measure_views(theirs), measure_views(ours)
    return {'number': number, 'measures': _compare(*pair)}


def _compare(
    theirs: NDArray[np.float64], ours: NDArray[np.float64]
) -> dict[str, dict[str, float]]:
    measures = {}
    for name, a, b in zip(MEASURES, theirs.T, ours.T, strict=True):
        measures[name] = {
            'released': float(a.mean()),
            'mmcp': float(b.mean()),
            'difference': float((b - a).mean()),
            'error': float((b - a).std() / np.sqrt(len(a))),
            'ks': float(stats.ks_2samp(a, b, method='asymp').statistic),
        }
    return measures


def _setting(
    args: argparse.Namespace, folder: Path, paths: Sequence[Path]
) -> dict[str, Any]:
    sizes = [read_image(path).size for path in paths[:: len(paths) // 200 + 1]]
    width, height = np.median(sizes, axis=0).astype(int).tolist()
    return {
        'command': f'python benchmarks/cp2_input.py --repeats {args.repeats} '
        f'--chunk {args.chunk}',
        'date': datetime.date.today().isoformat(),
        'images': folder.name,
        'number': len(paths),
        'width': width,
        'height': height,
        'chunk': args.chunk,
        'cpu': _cpu(),
        'cores': os.cpu_count(),
        'load': os.getloadavg()[0],
        'versions': {
            'mmcp': mmcp.__version__,
            'Pillow': PIL.__version__,
            'torch': torch.__version__,
            'opencv': cv2.__version__,
            'numpy': np.__version__,
            'Python': platform.python_version(),
        },
    }


def _cpu() -> str:
    path = Path('/proc/cpuinfo')
    lines = path.read_text().splitlines() if path.is_file() else []
    for line in lines:
        if line.startswith('model name'):
            return line.partition(':')[2].strip()
    return platform.machine()


def write(results: dict[str, Any], folder: Path) -> None:
    """Writes the JSON, the page and the chart.

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
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    found = find_images(args.images)
    if found is None:
        places = args.images or ' or '.join(PLACES)
        print(
            f'skipped: no JPEG photographs in {places}; give a folder with '
            '--images',
            file=sys.stderr,
        )
        return 0
    folder, paths = found
    results = {
        'setting': _setting(args, folder, paths),
        'samples': measure_samples(folder, paths, args.repeats, args.chunk),
        'views': measure_looks(paths, args.views),
    }
    write(results, args.out)
    print(markdown(results, f'{STEM}.svg'))
    missed = not all(target.met for target in targets_of(results))
    return int(args.check and missed)


if __name__ == '__main__':
    sys.exit(main())
