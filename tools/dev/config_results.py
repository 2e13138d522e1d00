"""The record of configs that were trained for two steps at reduced width."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_HEAD = """\
# Every config, two steps

Made by `make test-configs` (`tools/dev/test_configs.py`); do not edit. Each
leaf is loaded, its whole model is built on the meta device and counted, and a
reduced copy is trained for two steps on a CPU, detectors and segmentors
evaluated: ResNet channels divided by 8, images of 128 px, batch 2, ordinary
batch normalisation, four random images of which one is empty and one holds a
crowd region. Segmentors have three random images in the folders and files of
their data set, and crops of 64 px. CP2 and MoCo see eight images of noise in
batches of 4; their parameters are those of both encoders, and mixed precision
and compilation are left out. The losses show that it runs, nothing more. The
hash covers the resolved config and the versions of the stack; a config whose
hash is unchanged is not run again.
"""
_COLUMNS = ('config', 'parameters (M)', 'loss 1', 'loss 2', 'hash')


@dataclass(frozen=True)
class Record:
    """What is kept of one config.

    Args:
        digest: Result of :func:`config_digest`.
        parameters: Number of parameters of the whole model.
        losses: Total loss of each step of the reduced training.
    """

    digest: str
    parameters: int
    losses: tuple[float, ...]


def config_digest(
    config: Mapping[str, Any], versions: Mapping[str, str]
) -> str:
    """Hashes everything that decides what a reduced training does.

    Args:
        config: The resolved config.
        versions: Version by package.

    Returns:
        The first 8 hexadecimal digits of a SHA-256.
    """
    text = json.dumps([config, versions], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def read_records(path: Path) -> dict[str, Record]:
    """Reads the records of earlier runs.

    Args:
        path: The JSON file; it may be missing.

    Returns:
        Records by config stem.
    """
    if not path.is_file():
        return {}
    content = json.loads(path.read_text(encoding='utf-8'))
    return {
        stem: Record(r['digest'], r['parameters'], tuple(r['losses']))
        for stem, r in content.items()
    }


def write_records(path: Path, records: Mapping[str, Record]) -> None:
    """Writes the records as JSON, and as a table beside it.

    Args:
        path: The JSON file; the table has the suffix ``.md``.
        records: Records by config stem.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    ordered = {stem: asdict(records[stem]) for stem in sorted(records)}
    text = json.dumps(ordered, indent=1) + '\n'
    # Whole or not at all: the run may be interrupted at any time.
    draft = path.with_suffix('.json.part')
    draft.write_text(text, encoding='utf-8')
    draft.replace(path)
    path.with_suffix('.md').write_text(make_page(records), encoding='utf-8')


def make_page(records: Mapping[str, Record]) -> str:
    """Renders the records as a Markdown page.

    Args:
        records: Records by config stem.

    Returns:
        The page, rows sorted by stem.
    """
    rows = [_COLUMNS, ('---',) * len(_COLUMNS)]
    for stem in sorted(records):
        record = records[stem]
        first, second = (f'{loss:.3f}' for loss in record.losses)
        millions = f'{record.parameters / 1e6:.2f}'
        rows.append((stem, millions, first, second, f'`{record.digest}`'))
    lines = ['| ' + ' | '.join(row) + ' |' for row in rows]
    return _HEAD + '\n' + '\n'.join(lines) + '\n'
