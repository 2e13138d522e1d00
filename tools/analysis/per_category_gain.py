#!/usr/bin/env python
r"""Draws what every category gains, such as the Copy-Paste paper's Figure 6.

    python tools/test.py CONFIG CHECKPOINT \
        --cfg-options test_evaluator.outfile_prefix=work_dirs/baseline
    python tools/test.py ...                       (work_dirs/copy_paste)
    python tools/analysis/per_category_gain.py \
        data/coco/annotations/instances_val2017.json \
        --before work_dirs/baseline --after work_dirs/copy_paste \
        --out gain.png

Each side is one run or several, which are averaged: COCO result files, the
prefix of .bbox.json and .segm.json, metrics of a CocoMetric or an
mmcp.LVISMetric with classwise=True, or what --save-before and --save-after
have kept. With annotations of LVIS, results are evaluated as LVIS does.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmcp.engine.config import UsageError
from mmcp.engine.launch import add_traceback_argument, run_tool
from mmcp.evaluation.category_ap import (
    KINDS,
    CategoryAP,
    mean_over_runs,
    read_ap,
)
from mmcp.visualization.category_gains import (
    CategoryGains,
    draw_category_gains,
)

TITLES = dict(bbox='Box AP', segm='Mask AP')


def parse_args(argv: Sequence[str]) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'ann_file',
        nargs='?',
        help='annotations of the test images, of COCO or LVIS; metrics need '
        'none',
    )
    for side in ('before', 'after'):
        parser.add_argument(
            f'--{side}', nargs='+', required=True, metavar='FILE'
        )
        parser.add_argument(
            f'--save-{side}',
            type=Path,
            metavar='JSON',
            help=f'keep the mean AP of --{side}',
        )
    parser.add_argument(
        '--out',
        type=_png,
        default=Path('per_category_gain.png'),
        help='the picture (default: %(default)s)',
    )
    parser.add_argument(
        '--absolute',
        action='store_true',
        help='gains in points of AP, not in %% of the AP before',
    )
    parser.add_argument(
        '--max-dets',
        type=int,
        default=100,
        metavar='N',
        help='detections of an image and category that count (default: 100); '
        'of LVIS 300 of an image do',
    )
    add_traceback_argument(parser)
    return parser.parse_args(argv)


def _png(text: str) -> Path:
    if not text.endswith('.png'):
        raise argparse.ArgumentTypeError(f"'{text}' must end in .png")
    return Path(text)


def compare(before: CategoryAP, after: CategoryAP) -> list[CategoryGains]:
    """Puts both sides beside each other.

    Args:
        before: AP by kind and category.
        after: Likewise.

    Returns:
        Gains of boxes, masks or both, whatever both sides have.

    Raises:
        UsageError: If they have no kind or no category in common.
    """
    gains = []
    for kind in KINDS:
        pairs = [
            (name, one, after[kind].get(name))
            for name, one in before.get(kind, {}).items()
            if kind in after
        ]
        known = [pair for pair in pairs if None not in pair]
        if known:
            names, first, second = zip(*known, strict=True)
            gains.append(
                CategoryGains(
                    TITLES[kind], names, np.array(first), np.array(second)
                )
            )
    if not gains:
        raise UsageError(
            '--before and --after have nothing in common: the one has '
            f'{_kinds(before)}, the other {_kinds(after)}, and categories are '
            'compared by name'
        )
    return gains


def _kinds(found: CategoryAP) -> str:
    return ' and '.join(TITLES[kind] for kind in found) or 'nothing'


def describe(gains: CategoryGains, most: int = 5) -> str:
    """Says which categories change the most.

    Args:
        gains: AP before and after.
        most: Number of categories named on either side. Defaults to 5.

    Returns:
        Some lines.
    """
    # Without a minus in front of zeros.
    change = np.round(100 * (gains.after - gains.before), 1) + 0.0
    order = np.argsort(-change, kind='stable')
    lines = [
        f'{gains.title}: {100 * gains.before.mean():.1f} to '
        f'{100 * gains.after.mean():.1f} over {len(order)} categories'
    ]
    rows = order if len(order) <= 2 * most else [*order[:most], *order[-most:]]
    lines += [
        f'  {gains.names[k]:<20} {100 * gains.before[k]:5.1f} to '
        f'{100 * gains.after[k]:5.1f}  ({change[k]:+.1f})'
        for k in rows
    ]
    return '\n'.join(lines)


def main(argv: Sequence[str]) -> None:
    """Draws the picture and prints the largest changes."""
    args = parse_args(argv)
    sides = {}
    for side in ('before', 'after'):
        try:
            runs = [
                read_ap(path, args.ann_file, args.max_dets)
                for path in getattr(args, side)
            ]
            sides[side] = mean_over_runs(runs)
        except ValueError as error:
            raise UsageError(f'--{side}: {error}') from error
        kept = getattr(args, f'save_{side}')
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(sides[side], indent=1) + '\n')
    gains = compare(sides['before'], sides['after'])
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_bytes(draw_category_gains(tuple(gains), not args.absolute))
    print('\n'.join(describe(one) for one in gains))
    print(f'Picture: {args.out}')


if __name__ == '__main__':
    sys.exit(run_tool(main))
