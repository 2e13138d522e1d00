"""A COCO data set written piece by piece."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

Entry = dict[str, Any]


def write_dataset(
    path: Path,
    head: Mapping[str, Any],
    images: Callable[[], Iterable[Entry]],
) -> None:
    """Writes a COCO file, all or nothing, holding one image at a time.

    Ids of annotations follow their order, from 1.

    Args:
        path: The file.
        head: What stands before the lists, such as ``info`` and
            ``categories``.
        images: Gives all images whenever it is called, twice in all: their
            entries, with ``annotations`` in each, which have neither ``id``
            nor ``image_id``.

    Raises:
        OSError: If it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f'.{path.name}.draft')
    with draft.open('w', encoding='utf-8') as file:
        file.write('{')
        for key, value in head.items():
            file.write(f'{json.dumps(key)}: {json.dumps(value)},\n')
        file.write('"images": ')
        _write_list(file, map(_without_annotations, images()))
        file.write(',\n"annotations": ')
        _write_list(file, _annotations(images()))
        file.write('}\n')
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)


def _without_annotations(image: Entry) -> Entry:
    return {k: v for k, v in image.items() if k != 'annotations'}


def _annotations(images: Iterable[Entry]) -> Iterator[Entry]:
    number = 0
    for image in images:
        for annotation in image['annotations']:
            number += 1
            yield dict(id=number, image_id=image['id'], **annotation)


def _write_list(file: TextIO, items: Iterable[Entry]) -> None:
    separator = '['
    for item in items:
        file.write(separator + json.dumps(item, separators=(',', ':')))
        separator = ',\n'
    file.write('[]' if separator == '[' else ']')
