#!/usr/bin/env python
"""Runs the pretrainings of CP2's Table 5 (a) or Table 7, one after the other.

    python tools/cp2_sweep.py table5a --dry-run
    python tools/cp2_sweep.py table7 --launcher dist --gpus 8
    python tools/cp2_sweep.py table5a --launcher slurm --partition P

table5a is the grid of 5 weights and 4 temperatures of the dense loss, table7
three seeds; all are Quick Tuning of R50 + ASPP for 20 epochs. The same command
goes on where it was interrupted; finished runs are skipped. --only shares the
runs between machines.
"""

import argparse
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from mmcp.engine.config import UsageError
from mmcp.engine.launch import run_tool

ROOT = Path(__file__).absolute().parents[1]
EIGHT_GPUS = 'configs/cp2/cp2_r50-aspp_mocov2-800e-pre_8xb32-20e_in1k.py'
ONE_GPU = 'configs/cp2/cp2_r50-aspp_mocov2-800e-pre_1xb256-fast-20e_in1k.py'
WEIGHTS = (10, 1, 0.5, 0.2, 0.1)
TEMPERATURES = (2, 1, 0.5, 0.2)
SEEDS = (0, 1, 2)
FINISHED = 'sweep_finished'


@dataclass(frozen=True)
class Run:
    """A cell of a table.

    Attributes:
        name: Name of the run and its folder.
        seed: Seed of the training.
        options: Changes to the config, KEY=VALUE.
    """

    name: str
    seed: int = 0
    options: tuple[str, ...] = field(default=())


def runs_of(table: str) -> list[Run]:
    """Lists the runs of a table.

    Args:
        table: 'table5a' or 'table7'.

    Returns:
        The runs, in the order of the table's rows.
    """
    if table == 'table7':
        return [Run(f'seed{seed}', seed) for seed in SEEDS]
    return [
        Run(
            f'weight{weight}_temperature{temperature}',
            options=(
                f'model.dense_weight={float(weight)}',
                f'model.dense_temperature={float(temperature)}',
            ),
        )
        for weight, temperature in product(WEIGHTS, TEMPERATURES)
    ]


def parse_args(argv: Sequence[str]) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('table', choices=['table5a', 'table7'])
    parser.add_argument(
        '--launcher',
        choices=['local', 'dist', 'slurm'],
        default='local',
        help='local: this process and one GPU; dist: tools/dist_train.sh; '
        'slurm: tools/slurm_train.sh (default: local)',
    )
    parser.add_argument(
        '--gpus',
        type=int,
        default=8,
        help='number of GPUs for dist and slurm (default: 8)',
    )
    parser.add_argument('--partition', help='of the Slurm cluster')
    parser.add_argument(
        '--config',
        help=f'what to train; by default {EIGHT_GPUS}, or with one GPU '
        f'{ONE_GPU}',
    )
    parser.add_argument(
        '--work-dir',
        default='work_dirs/cp2_sweep',
        help='a folder for each run is made in it; relative to the '
        'repository (default: %(default)s)',
    )
    parser.add_argument(
        '--only', nargs='+', metavar='NAME', help='do these runs only'
    )
    parser.add_argument(
        '--dry-run',
        action='store_true',
        help='print the commands and run nothing',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='further changes to the config, for all runs',
    )
    args = parser.parse_args(argv)
    if args.launcher == 'slurm' and not args.partition:
        parser.error('--launcher slurm needs --partition')
    return args


def main(argv: Sequence[str]) -> None:
    """Does the runs."""
    args = parse_args(argv)
    failed = []
    for run in chosen(runs_of(args.table), args.only):
        folder = Path(args.work_dir) / args.table / run.name
        command = command_of(run, folder, args)
        line = shlex.join(command)
        if args.dry_run:
            prefix = f'GPUS={args.gpus} ' if args.launcher == 'slurm' else ''
            print(prefix + line)
        elif is_finished(folder, line):
            print(f'{run.name}: finished before', flush=True)
        else:
            print(f'{run.name}: {line}', flush=True)
            status = execute(command, args.gpus)
            if status in (128 + signal.SIGINT, 128 + signal.SIGTERM):
                sys.exit(status)
            if status:
                failed.append(run.name)
            else:
                note = ROOT / folder / FINISHED
                note.parent.mkdir(parents=True, exist_ok=True)
                note.write_text(line + '\n')
    if failed:
        sys.exit(f'error: these runs failed: {" ".join(failed)}')


def chosen(runs: Sequence[Run], only: Sequence[str] | None) -> list[Run]:
    """Picks runs by name.

    Args:
        runs: All runs.
        only: Names, or None for all.

    Returns:
        The runs, in their own order.

    Raises:
        UsageError: If there is no run of a name.
    """
    names = [run.name for run in runs]
    unknown = [name for name in only or () if name not in names]
    if unknown:
        raise UsageError(
            f'There is no run {", ".join(unknown)}. There are: '
            f'{", ".join(names)}.'
        )
    return [run for run in runs if only is None or run.name in only]


def command_of(run: Run, folder: Path, args: argparse.Namespace) -> list[str]:
    """The command line of a run; it resumes what was interrupted.

    Args:
        run: The run.
        folder: Its work directory.
        args: The parsed arguments.

    Returns:
        The words of the command.
    """
    one = args.launcher == 'local' or args.gpus == 1
    config = args.config or (ONE_GPU if one else EIGHT_GPUS)
    work_dir = ['--work-dir', str(folder)]
    start = {
        'local': [sys.executable, 'tools/train.py', config, *work_dir],
        'dist': ['tools/dist_train.sh', config, str(args.gpus), *work_dir],
        'slurm': [
            'tools/slurm_train.sh',
            str(args.partition),
            run.name,
            config,
            str(folder),
        ],
    }[args.launcher]
    options = [*run.options, *args.cfg_options]
    changes = ['--cfg-options', *options] if options else []
    return [
        *start,
        *('--resume', '--auto-scale-lr', '--seed', str(run.seed)),
        *changes,
    ]


def is_finished(folder: Path, line: str) -> bool:
    """Whether this very command came to its end in a folder."""
    note = ROOT / folder / FINISHED
    return note.is_file() and note.read_text().strip() == line


def execute(command: Sequence[str], gpus: int) -> int:
    """Runs a command in the root of the repository.

    A Ctrl-C reaches the training too, which saves a checkpoint.

    Args:
        command: Its words.
        gpus: Number of GPUs, for Slurm.

    Returns:
        Exit status, 128 plus the signal if one ended it.
    """
    environment = {**os.environ, 'GPUS': str(gpus)}
    child = subprocess.Popen(command, cwd=ROOT, env=environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda got, _: child.send_signal(got))
    status = child.wait()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return status if status >= 0 else 128 - status


if __name__ == '__main__':
    sys.exit(run_tool(main))
