"""Metafiles of the config folders, and the README tables made from them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

TABLE_BEGIN = (
    '<!-- table: begin, made by tools/dev/check_configs.py --write -->'
)
TABLE_END = '<!-- table: end -->'
_AP = ('box AP', 'mask AP')
_LVIS = ('LVIS mask AP', 'LVIS mask APr', 'LVIS mask APc', 'LVIS mask APf')
_VOC = ('VOC 2007 AP50', 'VOC 2007 AP')
_MIOU = ('VOC', 'Cityscapes', 'ADE20K')


@dataclass(frozen=True)
class Entry:
    """One config in a metafile.

    Args:
        name: The config's stem.
        collection: Name of the collection that it belongs to.
        config: Path of the config from the root of the repository.
        metadata: ``Batch Size`` and, as far as they apply, ``Iterations``
            and ``Epochs``.
        paper: ``paper`` (URL), ``table``, ``row``; optionally ``differs``
            (how the config departs from the row) and ``numbers`` (what the
            paper reports for the row). ``table`` and ``row`` are None for a
            config that is in no paper.
        results: Our own figures by metric, empty until they are measured.
    """

    name: str
    collection: str
    config: str
    metadata: dict[str, Any]
    paper: dict[str, Any]
    results: dict[str, Any]


def read_metafile(path: Path) -> list[Entry]:
    """Reads a metafile.

    Args:
        path: Path of ``metafile.yml``.

    Returns:
        Its entries, in the order of the file.

    Raises:
        ValueError: If an entry lacks a key, names a collection that the file
            does not declare, or has a malformed ``Paper``.
    """
    content = yaml.safe_load(path.read_text(encoding='utf-8'))
    collections = {c['Name'] for c in content['Collections']}
    entries = []
    for model in content['Models']:
        try:
            entry = Entry(
                name=model['Name'],
                collection=model['In Collection'],
                config=model['Config'],
                metadata=model['Metadata'],
                paper=model['Paper'],
                results=_results(model),
            )
        except KeyError as error:
            raise ValueError(
                f'{path}: entry {model.get("Name", "?")} has no {error}'
            ) from error
        if entry.collection not in collections:
            raise ValueError(
                f'{path}: {entry.name} is in the collection '
                f'"{entry.collection}", which is not declared'
            )
        _check_paper(path, entry)
        entries.append(entry)
    return entries


def make_table(entries: list[Entry]) -> str:
    """Renders entries as a Markdown table.

    Args:
        entries: Entries of one metafile, in the order of the rows.

    Returns:
        The lines between ``TABLE_BEGIN`` and ``TABLE_END``, both included.
    """
    columns: dict[str, list[str]] = {
        'config': [f'[{e.name}]({e.name}.py)' for e in entries],
        'batch': [str(e.metadata['Batch Size']) for e in entries],
        'steps': [_count(e.metadata.get('Iterations')) for e in entries],
        'epochs': [_count(e.metadata.get('Epochs')) for e in entries],
        "paper's row": [_row(e) for e in entries],
        "paper's box / mask AP": [_numbers(e, _AP) for e in entries],
        "paper's mask AP / APr / APc / APf": [
            _numbers(e, _LVIS) for e in entries
        ],
        "paper's box AP": [_numbers(e, ('LVIS box AP',)) for e in entries],
        "paper's AP50 / AP": [_numbers(e, _VOC) for e in entries],
        "paper's mIoU": [_numbers(e, ('VOC 2012 mIoU',)) for e in entries],
        "paper's mIoU: VOC / Cityscapes / ADE20K": [
            _numbers(e, _MIOU) for e in entries
        ],
        'differs from the row in': [
            e.paper.get('differs', '') for e in entries
        ],
        'ours': [_ours(e) for e in entries],
    }
    # A column without a figure in it does not exist.
    columns = {head: cells for head, cells in columns.items() if any(cells)}
    rows = [list(columns), ['---'] * len(columns)]
    rows += [list(cells) for cells in zip(*columns.values(), strict=True)]
    lines = ['| ' + ' | '.join(row) + ' |' for row in rows]
    return '\n'.join([TABLE_BEGIN, '', *lines, '', TABLE_END])


def replace_table(text: str, table: str) -> str:
    """Puts a table in the place of the one that a README holds.

    Args:
        text: The README.
        table: Result of :func:`make_table`.

    Returns:
        The README with the new table.

    Raises:
        ValueError: If the README does not hold both markers once.
    """
    if text.count(TABLE_BEGIN) != 1 or text.count(TABLE_END) != 1:
        raise ValueError(
            f'the README must hold the lines "{TABLE_BEGIN}" and '
            f'"{TABLE_END}" once each'
        )
    before, rest = text.split(TABLE_BEGIN)
    after = rest.split(TABLE_END)[1]
    return before + table + after


def _results(model: dict[str, Any]) -> dict[str, Any]:
    metrics: dict[str, Any] = {}
    for result in model.get('Results', []):
        metrics.update(result['Metrics'])
    return metrics


def _check_paper(path: Path, entry: Entry) -> None:
    missing = {'paper', 'table', 'row'} - set(entry.paper)
    if missing:
        raise ValueError(
            f'{path}: Paper of {entry.name} lacks {", ".join(sorted(missing))}'
        )
    unknown = set(entry.paper) - {
        'paper',
        'table',
        'row',
        'differs',
        'numbers',
    }
    if unknown:
        raise ValueError(
            f'{path}: Paper of {entry.name} has the unknown keys '
            f'{", ".join(sorted(unknown))}'
        )
    if (entry.paper['table'] is None) != (entry.paper['row'] is None):
        raise ValueError(
            f'{path}: Paper of {entry.name} must name both table and row, or '
            'neither'
        )


def _count(value: int | None) -> str:
    return '' if value is None else f'{value:,}'


def _row(entry: Entry) -> str:
    if entry.paper['table'] is None:
        return 'none'
    return f'{entry.paper["table"]}: {entry.paper["row"]}'


def _numbers(entry: Entry, names: tuple[str, ...]) -> str:
    numbers = entry.paper.get('numbers', {})
    return ' / '.join(str(numbers[name]) for name in names if name in numbers)


def _ours(entry: Entry) -> str:
    return ', '.join(f'{k} {v}' for k, v in entry.results.items())
