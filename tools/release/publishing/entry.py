"""The entry of a published model in a metafile."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mmcp.checkpoints.config_text import look_up

_BATCH = re.compile(r'_(?P<gpus>\d+)xb(?P<each>\d+)[-_]')
# What holds for every training with a config.
_OF_THE_CONFIG = ('In Collection', 'Config', 'Batch Size')


def make_entry(
    stem: str,
    config: Path | None,
    meta: Mapping[str, Any],
    cfg: Mapping[str, Any],
    weights: Mapping[str, str],
) -> dict[str, Any]:
    """Describes a published model as ``model-index.yml`` wants it.

    Args:
        stem: Stem of the config.
        config: Path of the config; collection and batch size are taken from
            the metafile in its folder, but no results: they are not those of
            this checkpoint. None if it is not known.
        meta: The checkpoint's ``meta``, which says how long it was trained.
        cfg: The config it was trained with; empty if not known.
        weights: ``Weights`` (file or address) and ``SHA256``.

    Returns:
        The entry.
    """
    known = _known_entry(stem, config)
    metadata = {
        key: value
        for key, value in known.pop('Metadata', {}).items()
        if key in _OF_THE_CONFIG
    }
    batch = _BATCH.search(f'{stem}_')
    if batch:
        size = int(batch['gpus']) * int(batch['each'])
        metadata.setdefault('Batch Size', size)
    by_epoch = look_up(cfg, 'train_cfg', 'max_epochs') is not None
    if by_epoch and 'epoch' in meta:
        metadata['Epochs'] = meta['epoch']
    elif 'iter' in meta:
        metadata['Iterations'] = meta['iter']
    entry: dict[str, Any] = dict(Name=stem)
    if config is not None:
        entry['Config'] = str(config)
    entry |= {k: v for k, v in known.items() if k in _OF_THE_CONFIG}
    return entry | dict(Metadata=metadata) | dict(weights)


def as_yaml(entry: Mapping[str, Any]) -> str:
    """Renders an entry as an item of a metafile's ``Models``.

    Args:
        entry: Result of :func:`make_entry`.

    Returns:
        YAML.
    """
    return yaml.safe_dump([dict(entry)], sort_keys=False, allow_unicode=True)


def _known_entry(stem: str, config: Path | None) -> dict[str, Any]:
    metafile = config.parent / 'metafile.yml' if config else None
    if metafile is None or not metafile.is_file():
        return {}
    content = yaml.safe_load(metafile.read_text(encoding='utf-8'))
    for entry in content.get('Models', []):
        if entry.get('Name') == stem:
            return dict(entry)
    return {}
