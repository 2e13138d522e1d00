#!/usr/bin/env python
"""Trains a model of MMDetection, MMSegmentation or mmcp from a config.

Ctrl-C (or SIGTERM) saves a checkpoint after the current iteration; --resume
goes on from there.
"""

import argparse
import sys
from collections.abc import Sequence

from mmcp.engine.data_check import check_data
from mmcp.engine.launch import (
    add_shared_arguments,
    build_runner,
    read_config,
    run_tool,
)
from mmcp.engine.starting_point import check_init_weights
from mmcp.engine.training import (
    check_amp,
    disable_validation,
    enable_amp,
    enable_auto_scale_lr,
    install_training_hooks,
    require_training,
)


def parse_args(argv: Sequence[str]) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='path of the config')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='PATH',
        help='go on with a training from a checkpoint; without a path, from '
        'the newest one in the work directory, or from the start if it has '
        'none',
    )
    parser.add_argument(
        '--amp', action='store_true', help='mixed precision (needs a GPU)'
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate to the number of GPUs and the batch '
        'size, from auto_scale_lr.base_batch_size of the config',
    )
    parser.add_argument(
        '--no-validate', action='store_true', help='train without validation'
    )
    parser.add_argument('--seed', type=int, help='seed of all random numbers')
    add_shared_arguments(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> None:
    """Trains."""
    args = parse_args(argv)
    cfg = read_config(args)
    require_training(cfg)
    if args.amp:
        enable_amp(cfg)
    check_amp(cfg)
    if args.auto_scale_lr:
        enable_auto_scale_lr(cfg)
    if args.no_validate:
        disable_validation(cfg)
    if args.seed is not None:
        cfg.merge_from_dict({'randomness.seed': args.seed})
    check_data(cfg, ['train', 'val'])
    check_init_weights(cfg)
    install_training_hooks(cfg)
    runner = build_runner(cfg, resume=args.resume, trust=args.trust_checkpoint)
    runner.train()


if __name__ == '__main__':
    sys.exit(run_tool(main))
