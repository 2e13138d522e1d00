"""Speed of CP2's training step: the released algorithm's against ours.

Measures the step alone (both encoders, losses, gradients, optimizer, queue)
on a batch that is on the device already, and its memory; with ``--images``
also training from files and the share of time spent waiting for them.

    python benchmarks/cp2_step.py --images ../shared/data/caltech101_sub
    python benchmarks/cp2_step.py --device cpu --small

The first is meant for a GPU, the second shows that it runs. They print the
tables and write ``cp2_step.json`` and ``.md`` (``cp2_step_small`` with
``--small``) to ``docs/results``.
"""

import argparse
import dataclasses
import datetime
import json
import logging
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mmengine
import numpy as np
import torch
from copy_paste_speed.timing import Peer, alternate
from cp2_step_speed.loading import measure_loading
from cp2_step_speed.peers import (
    REFERENCE,
    SMALL,
    WAYS,
    Batch,
    Size,
    Step,
    make_batch,
    prepare,
)
from cp2_step_speed.report import markdown, targets_of
from mmengine.logging import MMLogger

import mmcp

ROOT = Path(__file__).resolve().parents[1]


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--device',
        choices=('cuda', 'cpu'),
        default='cuda' if torch.cuda.is_available() else 'cpu',
        help='where (default: a GPU if there is one)',
    )
    parser.add_argument(
        '--small',
        action='store_true',
        help='a narrow ResNet-18 on images of 64x64, batches of 16, few steps',
    )
    parser.add_argument(
        '--batch',
        type=int,
        help='samples in a batch (default: 256; 16 if small)',
    )
    parser.add_argument(
        '--steps',
        type=int,
        help='steps of each way that count (default: 20; 3 if small)',
    )
    parser.add_argument(
        '--only',
        nargs='+',
        type=int,
        metavar='ROW',
        choices=range(len(WAYS)),
        help='which rows of the table, from 0 (default: all)',
    )
    parser.add_argument(
        '--images',
        type=Path,
        help='folder of photographs to train from with the fifth row, or the '
        'last of --only',
    )
    parser.add_argument(
        '--workers',
        type=int,
        default=os.cpu_count() or 1,
        help='processes that load (default: one per core)',
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=ROOT / 'docs' / 'results',
        help='folder for the JSON and the report',
    )
    parser.add_argument(
        '--check',
        action='store_true',
        help='exit with 1 if a target is missed',
    )
    args = parser.parse_args(argv)
    args.argv = list(sys.argv[1:] if argv is None else argv)
    args.batch = args.batch or (16 if args.small else 256)
    args.steps = args.steps or (3 if args.small else 20)
    if args.images is not None and not args.images.is_dir():
        parser.error(f'there is no folder {args.images}')
    if args.device == 'cuda' and not torch.cuda.is_available():
        parser.error('torch sees no GPU; --device cpu --small runs anywhere')
    return args


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Takes all measurements that were asked for.

    Args:
        args: The command line.

    Returns:
        ``setting``, ``steps`` and, with images, ``loading``.
    """
    torch.backends.cudnn.benchmark = True
    size = SMALL if args.small else Size()
    device = torch.device(args.device)
    batch = make_batch(args.batch, size, device)
    steps, memory = {}, {}
    for number in args.only or range(len(WAYS)):
        way = WAYS[number]
        print(f'{way.name} ...', file=sys.stderr, flush=True)
        steps[way.name], memory[way.name] = prepare(way, size, batch, device)
    results: dict[str, Any] = {'setting': _setting(args, size)}
    results['steps'] = _time(steps, memory, batch, args)
    if args.images is not None:
        name = _loaded(list(steps))
        results['loaded_step'] = name
        results['loading'] = measure_loading(
            steps[name],
            args.images,
            size.image,
            args.batch,
            args.workers,
            args.steps,
        )
    return results


def _loaded(names: Sequence[str]) -> str:
    """The step that trains from files: the usual one if it is there."""
    usual = WAYS[4].name
    return usual if usual in names else names[-1]


def _time(
    steps: dict[str, Step],
    memory: dict[str, float | None],
    batch: Batch,
    args: argparse.Namespace,
) -> list[dict[str, Any]]:
    peers = []
    for name, step in steps.items():
        own = step.layout(batch)
        peers.append(Peer(name, [step], prepare=lambda _, own=own: own))
    times = alternate(peers, args.steps)
    taken = {name: float(np.median(t.wall)) for name, t in times.items()}
    released = taken.get(REFERENCE.name)
    return [
        dict(
            name=name,
            milliseconds=value,
            samples_per_second=1000 * args.batch / value,
            ratio=None if released is None else released / value,
            memory=memory[name],
        )
        for name, value in taken.items()
    ]


def _setting(args: argparse.Namespace, size: Size) -> dict[str, Any]:
    return {
        'command': shlex.join(
            ['python', 'benchmarks/cp2_step.py', *args.argv]
        ),
        'date': datetime.date.today().isoformat(),
        'device': args.device,
        'small': args.small,
        'hardware': (
            torch.cuda.get_device_name()
            if args.device == 'cuda'
            else f'CPU ({platform.machine()})'
        ),
        'cores': os.cpu_count(),
        'workers': args.workers,
        'batch': args.batch,
        'steps': args.steps,
        'size': dataclasses.asdict(size),
        'load': os.getloadavg()[0],
        'versions': {
            'mmcp': mmcp.__version__,
            'torch': torch.__version__,
            'mmengine': mmengine.__version__,
            'Python': platform.python_version(),
        },
    }


def write(results: dict[str, Any], folder: Path) -> None:
    """Writes the JSON and the report.

    Args:
        results: What was measured.
        folder: Where to; made when missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    record = dict(results, reached=targets_of(results))
    stem = 'cp2_step_small' if results['setting']['small'] else 'cp2_step'
    path = folder / stem
    path.with_suffix('.json').write_text(json.dumps(record, indent=2) + '\n')
    path.with_suffix('.md').write_text(markdown(results))


def main(argv: Sequence[str] | None = None) -> int:
    """Measures, prints and writes.

    Args:
        argv: Command line. Defaults to None, meaning that of the process.

    Returns:
        1 if ``--check`` is given and a target is missed, else 0.
    """
    args = parse_args(argv)
    # It tells how every parameter was initialised.
    MMLogger.get_current_instance().setLevel(logging.WARNING)
    results = measure(args)
    write(results, args.out)
    print(markdown(results))
    missed = not all(target['met'] for target in targets_of(results))
    return int(args.check and missed)


if __name__ == '__main__':
    sys.exit(main())
