#!/usr/bin/env python
"""Evaluates a checkpoint: prints its metrics and saves them as JSON."""

import argparse
import sys
from collections.abc import Sequence

from mmcp.engine.config import UsageError
from mmcp.engine.data_check import check_data
from mmcp.engine.launch import (
    add_shared_arguments,
    build_runner,
    read_config,
    run_tool,
)
from mmcp.engine.testing import (
    enable_drawing,
    enable_tta,
    require_testing,
    save_predictions,
    show_progress,
    write_metrics,
)


def parse_args(argv: Sequence[str]) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='path of the config')
    parser.add_argument('checkpoint', help='path or URL of the checkpoint')
    parser.add_argument(
        '--out',
        help='save the predictions to this .pkl file (for segmentors also: '
        'as label images to this folder)',
    )
    parser.add_argument(
        '--show', action='store_true', help='show the predictions'
    )
    parser.add_argument(
        '--show-dir',
        help='save pictures of the predictions to this folder; a relative '
        'one is made in the work directory, below the time of the run',
    )
    parser.add_argument(
        '--wait-time',
        type=float,
        default=2,
        help='seconds that --show shows each picture',
    )
    parser.add_argument(
        '--tta', action='store_true', help='test-time augmentation'
    )
    add_shared_arguments(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> None:
    """Evaluates."""
    args = parse_args(argv)
    cfg = read_config(args)
    require_testing(cfg)
    if args.checkpoint.endswith(('.py', '.yaml', '.json')):
        raise UsageError(
            f'{args.checkpoint} is no checkpoint; it comes second, after the '
            'config.'
        )
    cfg.load_from = args.checkpoint
    cfg.resume = False
    if args.show or args.show_dir:
        enable_drawing(
            cfg,
            show=args.show,
            show_dir=args.show_dir,
            wait_time=args.wait_time,
        )
    if args.tta:
        enable_tta(cfg)
    check_data(cfg, ['test'])
    if args.out:
        save_predictions(cfg, args.out)
    runner = build_runner(cfg, trust=args.trust_checkpoint)
    show_progress(runner)
    metrics = runner.test()
    write_metrics(
        metrics,
        runner.work_dir,
        config=args.config,
        checkpoint=args.checkpoint,
    )


if __name__ == '__main__':
    sys.exit(run_tool(main))
