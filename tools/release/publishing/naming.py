"""Names of published files."""

import re
from datetime import datetime
from pathlib import Path
from typing import Any

from mmcp.checkpoints.config_text import look_up
from mmcp.engine.config import UsageError

_STAMP = re.compile(r'_\d{8}_\d{6}$')
_DATE = '%Y%m%d'
HASH_DIGITS = 8


def recorded_stem(meta: Any) -> str | None:
    """The stem of the config that a checkpoint says it was trained with.

    Args:
        meta: The checkpoint's ``meta``, of a training or a published file.

    Returns:
        The config's name without ending; None if the checkpoint does not say.
    """
    published = look_up(meta, 'mmcp', 'config')
    if isinstance(published, str):
        return Path(published).stem
    name = look_up(meta, 'experiment_name')
    if not isinstance(name, str) or not _STAMP.search(name):
        return None
    return _STAMP.sub('', name)


def config_stem(config: Path | None, meta: Any) -> str:
    """The stem of the config that a checkpoint was trained with.

    Args:
        config: Path of the config as the user gave it, or None.
        meta: The checkpoint's ``meta``.

    Returns:
        The config's name without ending.

    Raises:
        UsageError: If it is not known.
    """
    stem = config.stem if config else recorded_stem(meta)
    if stem is None:
        raise UsageError(
            'the checkpoint does not say which config it was trained with; '
            'give --config'
        )
    return stem


def published_name(stem: str, date: str, digest: str) -> str:
    """Puts a file's name together.

    Args:
        stem: Stem of the config.
        date: Day as YYYYMMDD.
        digest: SHA-256 of the file.

    Returns:
        ``{stem}_{date}-{first 8 digits of the hash}.pth``.

    Raises:
        UsageError: If the date is no day, or has another form.
    """
    if not _is_day(date):
        raise UsageError(f'--date must be a day as YYYYMMDD, but is {date!r}')
    return f'{stem}_{date}-{digest[:HASH_DIGITS]}.pth'


def _is_day(date: str) -> bool:
    try:
        # Without leading zeros it can be read, too.
        return datetime.strptime(date, _DATE).strftime(_DATE) == date
    except ValueError:
        return False
