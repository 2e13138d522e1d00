#!/usr/bin/env python
r"""Makes COCO files of 1, 5, 10, 25, 50 and 75 % of a data set's images.

    python tools/converters/coco_fractions.py \
        data/coco/annotations/instances_train2017.json

writes instances_train2017_1pct.json and so on beside the file, each with all
images of the smaller ones; 100 % is the file itself. Which images they hold
depends on their ids and the seed only. A training takes one by

    --cfg-options $(python tools/training_length.py CONFIG \
        --ann-file annotations/instances_train2017_10pct.json)

for the images and, where they have a data set of their own, the pasted ones.
"""

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mmcp.datasets.data_fractions import fraction_size, nested_order
from mmcp.engine.config import UsageError
from mmcp.engine.launch import add_traceback_argument, run_tool
from mmcp.large_json import read_object

PERCENTS = (1.0, 5.0, 10.0, 25.0, 50.0, 75.0)
Entry = dict[str, Any]


def parse_args(argv: Sequence[str]) -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('ann_file', type=Path, help='COCO annotations')
    parser.add_argument(
        '--percents',
        type=_percent,
        nargs='+',
        default=PERCENTS,
        metavar='P',
        help='sizes of the fractions (default: 1 5 10 25 50 75)',
    )
    parser.add_argument(
        '--seed', type=int, default=0, help='(default: %(default)s)'
    )
    parser.add_argument(
        '--out', type=Path, help="folder to write to; by default the file's"
    )
    add_traceback_argument(parser)
    return parser.parse_args(argv)


def _percent(text: str) -> float:
    percent = float(text)
    try:
        fraction_size(percent, 1)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return percent


class Fraction:
    """A file that holds some of the images, written piece by piece.

    Args:
        path: The file.
        percent: Its share of the images.
        size: Number of its images.
    """

    def __init__(self, path: Path, percent: float, size: int) -> None:
        self.path = path
        self.percent = percent
        self.size = size
        self.objects: Counter[Any] = Counter()
        self._draft = path.with_name(f'.{path.name}.draft')

    def start(self, head: Mapping[str, Any], images: Sequence[str]) -> None:
        """Writes all but the objects.

        Args:
            head: What is no list of images or objects.
            images: The images, as JSON.
        """
        self._draft.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._draft.open('w', encoding='utf-8')
        for key, value in head.items():
            start = ',\n' if self._file.tell() else '{'
            self._file.write(f'{start}{json.dumps(key)}: {json.dumps(value)}')
        self._file.write(',\n"images": [' + ',\n'.join(images) + ']')
        self._file.write(',\n"annotations": [')

    def add(self, annotation: Entry, text: str) -> None:
        """Writes an object.

        Args:
            annotation: The object.
            text: The same as JSON.
        """
        self._file.write(',\n' + text if self.objects else text)
        self.objects[annotation.get('category_id')] += 1

    def finish(self) -> None:
        """Gives the file its name: it is whole as soon as it is there."""
        self._file.write(']}\n')
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._draft.replace(self.path)

    def discard(self) -> None:
        """Removes what was not finished."""
        if hasattr(self, '_file'):
            self._file.close()
        self._draft.unlink(missing_ok=True)


def read_images(ann_file: Path) -> tuple[dict[Any, str], Entry]:
    """Reads all but the objects of a COCO file.

    Args:
        ann_file: The file.

    Returns:
        From the id of each image to its entry as JSON, which takes a third
        of the memory, and what is neither image nor object.

    Raises:
        UsageError: If the file is not of COCO's form.
    """
    images: dict[Any, str] = {}

    def add(image: Entry) -> None:
        if not isinstance(image, dict) or 'id' not in image:
            raise UsageError(f"{ann_file}: an image has no 'id': {image!r}")
        if image['id'] in images:
            raise UsageError(
                f'{ann_file}: two images have the id {image["id"]}'
            )
        images[image['id']] = json.dumps(image)

    lists = dict(images=add, annotations=_skip)
    content = _read(ann_file, lists)
    missing = [key for key in lists if key not in content]
    if missing or not images:
        raise UsageError(
            f'{ann_file} has no {" and no ".join(missing) or "images"}; it '
            "must be of COCO's form"
        )
    return images, {k: v for k, v in content.items() if k not in lists}


def write_fractions(
    ann_file: Path, out: Path, percents: Sequence[float], seed: int
) -> tuple[list[Fraction], list[Entry]]:
    """Writes a COCO file for each fraction, all or none.

    Reads the file twice, and holds its text and its images, but not its
    objects.

    Args:
        ann_file: COCO annotations.
        out: Folder to write to.
        percents: Shares of the images.
        seed: Of the selection.

    Returns:
        The fractions, smallest first, and all categories.

    Raises:
        UsageError: If the file is not of COCO's form.
    """
    images, head = read_images(ann_file)
    order = nested_order(images, seed)
    ranks = {one: rank for rank, one in enumerate(order)}
    fractions = [
        Fraction(
            out / f'{ann_file.stem}_{percent:g}pct.json',
            percent,
            fraction_size(percent, len(order)),
        )
        for percent in sorted(set(percents))
    ]

    def sort(annotation: Entry) -> None:
        rank = _rank_of(annotation, ranks, ann_file)
        text = json.dumps(annotation)
        for fraction in fractions:
            if rank < fraction.size:
                fraction.add(annotation, text)

    with ExitStack() as stack:
        for fraction in fractions:
            stack.callback(fraction.discard)
            chosen = [t for i, t in images.items() if ranks[i] < fraction.size]
            fraction.start(
                _with_origin(head, ann_file, fraction, seed), chosen
            )
        _read(ann_file, dict(images=_skip, annotations=sort))
        for fraction in fractions:
            fraction.finish()
    return fractions, head.get('categories', [])


def _read(ann_file: Path, lists: Mapping[str, Any]) -> Entry:
    try:
        return read_object(ann_file, lists)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _skip(_: Entry) -> None:
    return None


def _rank_of(annotation: Entry, ranks: Mapping[Any, int], path: Path) -> int:
    image = annotation.get('image_id')
    if image not in ranks:
        raise UsageError(
            f'{path}: the object {annotation.get("id")} belongs to the image '
            f'{image}, which is not listed'
        )
    return ranks[image]


def _with_origin(
    head: Mapping[str, Any], path: Path, fraction: Fraction, seed: int
) -> Entry:
    """The head with a note of how the fraction was made."""
    origin = dict(file=path.name, percent=fraction.percent, seed=seed)
    info = head.get('info')
    info = dict(info) if isinstance(info, dict) else {}
    return dict(head, info=dict(info, fraction=origin))


def describe(
    fractions: Sequence[Fraction], categories: Sequence[Entry]
) -> str:
    """Says what the fractions hold.

    Args:
        fractions: The fractions.
        categories: All categories.

    Returns:
        A table; some lines.
    """
    lines = ['     %    images   objects  categories without any']
    for one in fractions:
        without = [
            category['name']
            for category in categories
            if not one.objects[category['id']]
        ]
        names = ', '.join(without[:5]) + (', ...' if len(without) > 5 else '')
        lines.append(
            f'{one.percent:>6g} {one.size:>9,} {one.objects.total():>9,}  '
            f'{len(without)}{": " if names else ""}{names}'
        )
    return '\n'.join(lines)


def main(argv: Sequence[str]) -> None:
    """Makes the files and says what is in them."""
    args = parse_args(argv)
    out = args.ann_file.parent if args.out is None else args.out
    fractions, categories = write_fractions(
        args.ann_file, out, args.percents, args.seed
    )
    print(describe(fractions, categories))
    print('Files:', *(str(one.path) for one in fractions), sep='\n  ')


if __name__ == '__main__':
    sys.exit(run_tool(main))
