"""Runs a training for a demo, resumably, in a process of its own."""

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mmcp.demo.sample import VERSION
from mmcp.engine.config import load_config

ROOT = Path(__file__).absolute().parents[2]


@dataclass
class Progress:
    """How far the demo of a work directory is, kept in `progress.json`.

    Attributes:
        recipe: Digest of the config and the sample; another one starts anew.
        seconds: Time spent in training so far.
        finished: Whether the training came to its end.
    """

    recipe: str
    seconds: float = 0.0
    finished: bool = False

    @classmethod
    def load(cls, folder: Path) -> 'Progress':
        """Reads it; where there is none, it is that of no recipe."""
        try:
            return cls(**json.loads((folder / 'progress.json').read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return cls(recipe='')

    def save(self, folder: Path) -> None:
        """Writes it down."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(asdict(self), indent=2)
        (folder / 'progress.json').write_text(text + '\n')


def add_demo_arguments(parser: argparse.ArgumentParser, work_dir: str) -> None:
    """Adds what every demo takes.

    Args:
        parser: The parser of the command line.
        work_dir: Default of ``--work-dir``, below the repository.
    """
    parser.add_argument(
        '--work-dir',
        default=ROOT / work_dir,
        help=f'folder for the results; by default {work_dir}',
    )
    parser.add_argument(
        '--restart',
        action='store_true',
        help='train anew even if a training is finished or can be resumed',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='change settings of the config, as tools/train.py does',
    )


def find_recipe(config: Path, options: Sequence[str]) -> str:
    """Digest of everything that decides what a training gives."""
    text = load_config(config).pretty_text
    parts = json.dumps([config.name, text, list(options), VERSION])
    return hashlib.sha256(parts.encode()).hexdigest()


def train(
    config: Path,
    work_dir: Path,
    options: Sequence[str],
    recipe: str,
    *,
    restart: bool,
) -> Progress:
    """Trains, or goes on with the training of the same recipe."""
    folder = work_dir / 'training'
    progress = Progress.load(work_dir)
    if restart or progress.recipe != recipe:
        shutil.rmtree(folder, ignore_errors=True)
        progress = Progress(recipe)
    if progress.finished and (folder / 'last_checkpoint').is_file():
        print('Finished earlier; --restart trains anew.')
        return progress
    progress.save(work_dir)
    start = time.monotonic()
    status = run_step(
        'train.py', config, '--work-dir', folder, '--resume', options=options
    )
    progress.seconds += time.monotonic() - start
    progress.finished = status == 0
    progress.save(work_dir)
    end_unless_done(status)
    return progress


def end_unless_done(status: int) -> None:
    """Ends the demo with the status of a step that did not succeed."""
    if status > 128 or status < 0:
        print('Interrupted; the same command goes on from here.')
    if status:
        sys.exit(status if status > 0 else 128 - status)


def run_step(
    tool: str, *words: str | Path, options: Sequence[str] = ()
) -> int:
    """Runs a tool and passes signals on to it.

    In a session of its own, the tool gets each Ctrl-C once, from here. A
    second one would end it without a checkpoint.

    Returns:
        Its exit status, negative for a signal that it did not handle.
    """
    command = [sys.executable, f'tools/{tool}', *map(str, words)]
    if options:
        command += ['--cfg-options', *options]
    # On cores that others use too, OpenMP threads that spin while they wait
    # made a training step ten times slower.
    environment = {'OMP_WAIT_POLICY': 'PASSIVE', **os.environ}
    child = subprocess.Popen(
        command, cwd=ROOT, env=environment, start_new_session=True
    )
    signals = {
        signal.SIGINT: signal.SIGINT,
        signal.SIGTERM: signal.SIGTERM,
        signal.SIGHUP: signal.SIGTERM,
    }
    before = {
        got: signal.signal(got, lambda *_, sent=sent: child.send_signal(sent))
        for got, sent in signals.items()
    }
    try:
        return child.wait()
    finally:
        for got, handler in before.items():
            signal.signal(got, handler)
