#!/usr/bin/env python
"""Pretrains a small segmentation model with CP2 on the built-in sample.

Makes the sample in data/demo, trains for some minutes on two cores and writes
metrics.json and report.html. Interrupted, the same command goes on where it
stopped; finished, it only reports again. The exit status is 1 if the model
has not learnt: instance accuracy up, foregrounds more like each other than
like backgrounds, no collapse.
"""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from demos.training import (
    ROOT,
    add_demo_arguments,
    find_recipe,
    train,
)

from mmcp.demo import make_sample
from mmcp.demo.pretraining import PretrainingMetrics, measure_pretraining
from mmcp.demo.pretraining_report import write_pretraining_report
from mmcp.engine.config import load_config
from mmcp.engine.launch import run_tool
from mmcp.visualization import read_scalars

CONFIG = ROOT / 'configs' / 'demo' / 'cp2_r18-fcn_1xb24-120e_demo-64.py'
DATA = Path('data/demo')  # below ROOT, as the config has it
WORK_DIR = 'work_dirs/demo_cp2'
STEPS = 3


def parse_args(argv: Sequence[str]) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--config', default=CONFIG, help='what to train (default: %(default)s)'
    )
    add_demo_arguments(parser, WORK_DIR)
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> None:
    """Runs the demo."""
    args = parse_args(argv)
    work_dir = Path(args.work_dir).absolute()
    config = Path(args.config).absolute()
    recipe = find_recipe(config, args.cfg_options)
    os.chdir(ROOT)  # the config's paths start here
    announce(1, f'the built-in sample, in {DATA}')
    make_sample(DATA)
    announce(2, 'training')
    progress = train(
        config, work_dir, args.cfg_options, recipe, restart=args.restart
    )
    announce(3, 'metrics and report')
    command = shlex.join(['python', 'tools/demo_cp2.py', *argv])
    metrics = report(config, work_dir, progress.seconds, command)
    judge(metrics)


def announce(step: int, what: str) -> None:
    """Prints which step begins."""
    print(f'\n[{step}/{STEPS}] {what}', flush=True)


def report(
    config: Path, work_dir: Path, seconds: float, command: str
) -> PretrainingMetrics:
    """Writes `metrics.json` and `report.html`, and says where they are."""
    training = work_dir / 'training'
    scalars = read_scalars(training)
    metrics = measure_pretraining(scalars)
    content = asdict(metrics) | {'train_seconds': round(seconds, 1)}
    path = work_dir / 'metrics.json'
    path.write_text(json.dumps(content, indent=2) + '\n')
    page = write_pretraining_report(
        work_dir / 'report.html',
        cfg=load_config(training / config.name),
        work_dir=training,
        metrics=metrics,
        scalars=scalars,
        seconds=seconds,
        command=command,
    )
    last = (training / 'last_checkpoint').read_text().strip()
    print(
        f'Instance accuracy {metrics.acc_instance.first:.1f} % -> '
        f'{metrics.acc_instance.last:.1f} %; cosine of foreground with '
        f'foreground {metrics.cos_fg_fg.last:.3f}, with background '
        f'{metrics.cos_fg_bg.last:.3f}; standard deviation of the features '
        f'{metrics.std_pooled.last:.3f}.\n'
        f'Checkpoint: {training / Path(last).name}\n'
        f'Metrics:    {path}\n'
        f'Report:     {page}'
    )
    return metrics


def judge(metrics: PretrainingMetrics) -> None:
    """Ends the demo with status 1 if the model has not learnt."""
    failures = metrics.failures()
    if failures:
        sys.exit('\n'.join(f'Not learnt: {text}.' for text in failures))


if __name__ == '__main__':
    sys.exit(run_tool(main))
