#!/usr/bin/env python
"""Trains Mask R-CNN with Copy-Paste on the built-in sample and reports.

Makes the sample in data/demo, trains for some minutes on two cores, measures
and writes metrics.json and report.html. Interrupted, the same command goes on
where it stopped; finished, it only measures and reports again.
"""

import argparse
import hashlib
import json
import os
import pickle
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmcp.demo import make_sample
from mmcp.demo.evaluation import Metrics, evaluate
from mmcp.demo.report import write_demo_report
from mmcp.demo.sample import VERSION
from mmcp.engine.config import UsageError, load_config
from mmcp.engine.launch import run_tool
from mmcp.visualization import read_scalars

ROOT = Path(__file__).absolute().parents[1]
DATA = Path('data/demo')  # below ROOT, as the config has it
STEPS = 4


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


def parse_args(argv: Sequence[str]) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--config', help='what to train; by default the one in configs/demo'
    )
    parser.add_argument(
        '--work-dir',
        default=ROOT / 'work_dirs' / 'demo',
        help='folder for the results; by default work_dirs/demo',
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
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> None:
    """Runs the demo."""
    args = parse_args(argv)
    work_dir = Path(args.work_dir).absolute()
    config = Path(args.config).absolute() if args.config else find_config()
    recipe = find_recipe(config, args.cfg_options)
    os.chdir(ROOT)  # the config's paths start here
    announce(1, f'the built-in sample, in {DATA}')
    make_sample(DATA)
    announce(2, 'training')
    progress = train(
        config, work_dir, args.cfg_options, recipe, restart=args.restart
    )
    announce(3, 'predictions for the validation images')
    test(config, work_dir, args.cfg_options)
    announce(4, 'metrics and report')
    metrics = measure(work_dir, progress)
    command = shlex.join(['python', 'tools/demo.py', *argv])
    report = make_report(config, work_dir, metrics, command)
    print(
        f'Mask AP50 {metrics["mask_ap50_frequent"]:.3f} over the '
        f'{len(metrics["frequent_categories"])} categories with at least '
        f'{metrics["frequent_min_objects"]} training objects; '
        f'mask AP {metrics["segm"]["AP"]:.3f}, '
        f'box AP {metrics["bbox"]["AP"]:.3f} over all.\n'
        f'Metrics: {work_dir / "metrics.json"}\n'
        f'Report:  {report}'
    )


def announce(step: int, what: str) -> None:
    """Prints which step begins."""
    print(f'\n[{step}/{STEPS}] {what}', flush=True)


def find_config() -> Path:
    """Finds the only Copy-Paste config for the sample.

    Raises:
        UsageError: If there is none or more than one.
    """
    found = sorted((ROOT / 'configs' / 'demo').glob('*-scp-*.py'))
    if len(found) != 1:
        raise UsageError(
            f'configs/demo has {len(found)} configs with Copy-Paste; name '
            'the one to train with --config.'
        )
    return found[0]


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


def test(config: Path, work_dir: Path, options: Sequence[str]) -> None:
    """Predicts the validation images with the trained model."""
    last = (work_dir / 'training' / 'last_checkpoint').read_text().strip()
    checkpoint = work_dir / 'training' / Path(last).name
    folder = work_dir / 'testing'
    status = run_step(
        'test.py',
        config,
        checkpoint,
        '--work-dir',
        folder,
        '--out',
        folder / 'predictions.pkl',
        options=options,
    )
    end_unless_done(status)


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


def measure(work_dir: Path, progress: Progress) -> Metrics:
    """Computes the metrics and writes them to `metrics.json`."""
    metrics = evaluate(
        load_predictions(work_dir),
        DATA / 'annotations' / 'instances_val.json',
        DATA / 'annotations' / 'instances_train.json',
    )
    losses = read_scalars(work_dir / 'training')['loss']
    metrics['iterations'] = losses[-1][0]
    metrics['train_seconds'] = round(progress.seconds, 1)
    path = work_dir / 'metrics.json'
    path.write_text(json.dumps(metrics, indent=2) + '\n')
    return metrics


def load_predictions(work_dir: Path) -> list[dict[str, Any]]:
    """Reads what the test before has written."""
    path = work_dir / 'testing' / 'predictions.pkl'
    return pickle.loads(path.read_bytes())


def make_report(
    config: Path, work_dir: Path, metrics: Metrics, command: str
) -> Path:
    """Writes `report.html`; the config is the one that train.py saved."""
    return write_demo_report(
        work_dir / 'report.html',
        cfg=load_config(work_dir / 'training' / config.name),
        data_root=DATA,
        metrics=metrics,
        scalars=read_scalars(work_dir / 'training'),
        predictions=load_predictions(work_dir),
        command=command,
    )


if __name__ == '__main__':
    sys.exit(run_tool(main))
