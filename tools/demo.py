#!/usr/bin/env python
"""Trains Mask R-CNN with Copy-Paste on the built-in sample and reports.

Makes the sample in data/demo, trains for some minutes on two cores, measures
and writes metrics.json and report.html. Interrupted, the same command goes on
where it stopped; finished, it only measures and reports again.
"""

import argparse
import json
import os
import pickle
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from demos.training import (
    ROOT,
    Progress,
    add_demo_arguments,
    end_unless_done,
    find_recipe,
    run_step,
    train,
)

from mmcp.demo import make_sample
from mmcp.demo.evaluation import Metrics, evaluate
from mmcp.demo.report import write_demo_report
from mmcp.engine.config import UsageError, load_config
from mmcp.engine.launch import run_tool
from mmcp.visualization import read_scalars

DATA = Path('data/demo')  # below ROOT, as the config has it
WORK_DIR = 'work_dirs/demo'
STEPS = 4


def parse_args(argv: Sequence[str]) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--config', help='what to train; by default the one in configs/demo'
    )
    add_demo_arguments(parser, WORK_DIR)
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
