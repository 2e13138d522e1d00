#!/usr/bin/env python
"""Labels images with a trained detector, for self-training.

Writes a COCO data set of what it sees, with masks, scores and how it was made.
Whatever ends it early (Ctrl-C, a kill, a power cut), the same command goes on.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from mmcp.engine.launch import add_shared_arguments, read_config, run_tool
from mmcp.engine.messages import say
from mmcp.self_training.labeling import LabelingOptions, label_images
from mmcp.self_training.thresholds import (
    ScoreThresholds,
    read_class_thresholds,
)


def parse_args(argv: Sequence[str]) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='path of the config of a detector')
    parser.add_argument('checkpoint', help='path or URL of its checkpoint')
    parser.add_argument(
        'images',
        help='a folder of images, with all folders below it, or a COCO file '
        'that lists them',
    )
    parser.add_argument(
        '--out', required=True, type=_json, help='the .json file to write'
    )
    parser.add_argument(
        '--image-root',
        help='folder of the images of a COCO file; by default that of the '
        'file',
    )
    parser.add_argument(
        '--score-thr',
        type=float,
        default=0.5,
        metavar='SCORE',
        help='score from which on a prediction is kept (default: 0.5)',
    )
    parser.add_argument(
        '--class-thr',
        nargs='+',
        default=[],
        metavar='NAME=SCORE',
        help='the same for single classes, or a JSON or YAML file with them',
    )
    parser.add_argument(
        '--max-per-image',
        type=_positive,
        metavar='N',
        help='keep the N most certain objects of an image; by default as many '
        'as the config has',
    )
    parser.add_argument(
        '--categories',
        metavar='FILE',
        help='a COCO file whose category ids are used, such as that of the '
        'labelled images',
    )
    parser.add_argument(
        '--batch-size',
        type=_positive,
        metavar='N',
        help='images in a batch; by default as in test_dataloader',
    )
    parser.add_argument(
        '--workers',
        type=int,
        metavar='N',
        help='processes that load images; by default as in test_dataloader',
    )
    parser.add_argument(
        '--restart',
        action='store_true',
        help='throw away what an earlier attempt left, and replace its result',
    )
    add_shared_arguments(parser)
    return parser.parse_args(argv)


def _json(text: str) -> Path:
    if not text.endswith('.json'):
        raise argparse.ArgumentTypeError(f"'{text}' must end in .json")
    return Path(text)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f'{number} is below 1')
    return number


def main(argv: Sequence[str]) -> None:
    """Labels."""
    args = parse_args(argv)
    options = LabelingOptions(
        thresholds=ScoreThresholds(
            args.score_thr, read_class_thresholds(args.class_thr)
        ),
        max_per_image=args.max_per_image,
        image_root=args.image_root,
        categories=args.categories,
        batch_size=args.batch_size,
        workers=args.workers,
        restart=args.restart,
        trust=args.trust_checkpoint,
    )
    cfg = read_config(args)
    try:
        label_images(cfg, args.checkpoint, args.images, args.out, options)
    except KeyboardInterrupt:
        say('Interrupted; the same command (without --restart) goes on.')
        sys.exit(128 + signal.SIGINT)


if __name__ == '__main__':
    sys.exit(run_tool(main))
