"""The files that a finished labelling leaves."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmcp.engine.config import UsageError
from mmcp.self_training.dataset_file import write_dataset
from mmcp.self_training.journal import Journal
from mmcp.self_training.label_counts import LabelCounts
from mmcp.self_training.provenance import dataset_info
from mmcp.visualization.label_counts import draw_label_counts

Entry = dict[str, Any]

_MOST_SHOWN = 20


def write_result(out: Path, folder: Path, settings: dict[str, Any]) -> None:
    """Makes the data set of the records of all batches, and a summary.

    Args:
        out: The data set's file. Beside it come ``{stem}_summary.json``,
            ``{stem}_summary.png`` and, if there are any,
            ``{stem}_unreadable.txt``: a line for each, its file and the
            reason, with a tab between.
        folder: Of the records.
        settings: How the labels were made, with ``date`` and ``categories``.

    Raises:
        UsageError: If no image could be read.
        OSError: If a file cannot be written.
    """
    journal = Journal(folder)
    journal.open()
    counts = LabelCounts(settings['categories'])
    unreadable: list[list[str]] = []
    for record in journal:
        unreadable += record['unreadable']
        for image in record['images']:
            counts.add(image['annotations'])
    if not counts.images:
        name, reason = unreadable[0]
        raise UsageError(
            f'None of the {len(unreadable):,} images can be read; the first '
            f'is {name}: {reason}'
        )

    def images() -> Iterator[Entry]:
        for record in journal:
            yield from record['images']

    info = dataset_info(settings)
    head = dict(info=info, licenses=[], categories=settings['categories'])
    write_dataset(out, head, images)
    _write_summary(out, counts, unreadable, info)


def _write_summary(
    out: Path,
    counts: LabelCounts,
    unreadable: list[list[str]],
    info: dict[str, Any],
) -> None:
    def beside(end: str) -> Path:
        return out.with_name(f'{out.stem}_{end}')

    summary = dict(
        counts.to_dict(), unreadable_images=len(unreadable), info=info
    )
    beside('summary.json').write_text(json.dumps(summary, indent=2) + '\n')
    beside('summary.png').write_bytes(
        draw_label_counts(counts.names, counts.histogram)
    )
    beside('unreadable.txt').unlink(missing_ok=True)
    if unreadable:
        lines = [f'{name}\t{reason}\n' for name, reason in unreadable]
        text = ''.join(lines)
        beside('unreadable.txt').write_bytes(os.fsencode(text))
    print(_in_words(counts, len(unreadable)))
    print(f'Data set: {out}')
    print(f'Summary: {beside("summary.json")}, {beside("summary.png")}')
    if unreadable:
        print(f'Unreadable images: {beside("unreadable.txt")}')


def _in_words(counts: LabelCounts, unreadable: int) -> str:
    total = int(counts.objects.sum())
    lines = [
        f'{total:,} objects in {counts.images:,} images '
        f'({total / counts.images:.2f} an image); {counts.empty:,} images '
        f'have none, {unreadable:,} cannot be read.'
    ]
    by_count = sorted(
        zip(counts.objects.tolist(), counts.names, strict=True),
        key=lambda item: (-item[0], item[1]),
    )
    lines += [f'{n:>10,}  {name}' for n, name in by_count[:_MOST_SHOWN]]
    left = by_count[_MOST_SHOWN:]
    if left:
        rest = sum(n for n, _ in left)
        lines.append(f'{rest:>10,}  {len(left)} other classes')
    return '\n'.join(lines)
