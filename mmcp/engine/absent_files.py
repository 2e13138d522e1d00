"""Says which of many files do not exist, in one line."""

import os
from collections.abc import Iterable, Sequence

_SHOWN = 3


def absent_files(paths: Sequence[str], words: str, origin: str) -> list[str]:
    """Looks for files; each folder is listed once.

    Args:
        paths: The files.
        words: What they are, in the plural.
        origin: The list or folder that they come from.

    Returns:
        One line with the number of files that do not exist and the first of
        them; empty if all exist.
    """
    folders = {os.path.dirname(path) for path in paths}
    existing = {folder: _entries(folder) for folder in folders}
    absent = [
        path
        for path in paths
        if os.path.basename(path) not in existing[os.path.dirname(path)]
    ]
    if not absent:
        return []
    return [
        f'{len(absent):,} of {len(paths):,} {words} for {origin}: '
        + _shortened(absent)
    ]


def _entries(folder: str) -> Iterable[str]:
    return set(os.listdir(folder)) if os.path.isdir(folder) else ()


def _shortened(paths: Sequence[str]) -> str:
    more = ', ...' if len(paths) > _SHOWN else ''
    return ', '.join(paths[:_SHOWN]) + more
