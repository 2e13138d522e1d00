"""Names of published files."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmcp.engine.config import UsageError

_STAMP = re.compile(r'_\d{8}_\d{6}$')
_DATE = re.compile(r'\d{8}')
HASH_DIGITS = 8


def config_stem(config: Path | None, meta: Mapping[str, Any]) -> str:
    """The stem of the config that a checkpoint was trained with.

    Args:
        config: Path of the config as the user gave it, or None.
        meta: The checkpoint's ``meta``.

    Returns:
        The config's name without ending.

    Raises:
        UsageError: If it is not known.
    """
    if config is not None:
        return config.stem
    name = meta.get('experiment_name')
    if not isinstance(name, str) or not _STAMP.search(name):
        raise UsageError(
            'the checkpoint does not say which config it was trained with; '
            'give --config'
        )
    return _STAMP.sub('', name)


def published_name(stem: str, date: str, digest: str) -> str:
    """Puts a file's name together.

    Args:
        stem: Stem of the config.
        date: Day as YYYYMMDD.
        digest: SHA-256 of the file.

    Returns:
        ``{stem}_{date}-{first 8 digits of the hash}.pth``.

    Raises:
        UsageError: If the date has another form.
    """
    if not _DATE.fullmatch(date):
        raise UsageError(f'--date must be YYYYMMDD, but is {date!r}')
    return f'{stem}_{date}-{digest[:HASH_DIGITS]}.pth'
