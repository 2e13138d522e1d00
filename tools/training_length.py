#!/usr/bin/env python
r"""Prints the options that give a training another length, or less data.

Figure 4 of the Copy-Paste paper, 48 epochs instead of the config's:

    bash tools/dist_train.sh CONFIG 8 --work-dir work_dirs/48e \
        --cfg-options $(python tools/training_length.py CONFIG --epochs 48)

Figure 5, a tenth of COCO (tools/converters/coco_fractions.py makes the file):

    bash tools/dist_train.sh CONFIG 8 --work-dir work_dirs/10pct \
        --cfg-options $(python tools/training_length.py CONFIG \
            --ann-file annotations/instances_train2017_10pct.json)

The warm-up stays as it is; the learning rate falls at the same shares of the
training.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any

# Only the options go to stdout; MMDetection says something when imported.
with redirect_stdout(sys.stderr):
    from mmcp.engine.config import load_config
    from mmcp.engine.launch import add_traceback_argument, run_tool
    from mmcp.engine.messages import say
    from mmcp.engine.training_length import (
        annotation_options,
        length_options,
        steps_of,
    )


def parse_args(argv: Sequence[str]) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', help='what is trained')
    length = parser.add_mutually_exclusive_group()
    length.add_argument('--steps', type=int, metavar='N')
    length.add_argument(
        '--epochs',
        type=float,
        metavar='N',
        help='of the images in --ann-file or, without it, of the config',
    )
    parser.add_argument(
        '--ann-file',
        metavar='FILE',
        help="annotations instead of the config's, as in a config: absolute "
        'or below its data_root',
    )
    add_traceback_argument(parser)
    args = parser.parse_args(argv)
    if args.steps is None and args.epochs is None and args.ann_file is None:
        parser.error('give --steps, --epochs or --ann-file')
    for name in ('steps', 'epochs'):
        number = getattr(args, name)
        if number is not None and number <= 0:
            parser.error(f'--{name} must be above 0')
    return args


def find_options(args: argparse.Namespace) -> dict[str, Any]:
    """Finds what must change in the config.

    Args:
        args: The command line.

    Returns:
        Dotted keys and values.
    """
    cfg = load_config(args.config)
    options = {}
    if args.ann_file is not None:
        options.update(annotation_options(cfg, args.ann_file))
    steps = args.steps
    if args.epochs is not None:
        steps = steps_of(cfg, args.epochs, args.ann_file)
    if steps is not None:
        options.update(length_options(cfg, steps))
        say(f'{steps:,} steps of {cfg.auto_scale_lr.base_batch_size} images')
    return options


def main(argv: Sequence[str]) -> None:
    """Prints the options in one line."""
    args = parse_args(argv)
    with redirect_stdout(sys.stderr):
        options = find_options(args)
    print(' '.join(f'{key}={_text(value)}' for key, value in options.items()))


def _text(value: object) -> str:
    """A value as --cfg-options reads it; no brackets, which shells expand."""
    if isinstance(value, list):
        return ','.join(map(str, value))
    return str(value)


if __name__ == '__main__':
    sys.exit(run_tool(main))
