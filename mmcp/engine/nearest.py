"""Finds the word that a user probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

CUTOFF = 0.6


def nearest(
    word: str, candidates: Iterable[str], cutoff: float = CUTOFF
) -> str | None:
    """Returns the candidate most like a word, whatever their case.

    Args:
        word: What the user wrote.
        candidates: What would have been right.
        cutoff: Similarity from 0 to 1 that is needed, as in difflib.
            Defaults to CUTOFF.

    Returns:
        A candidate, or None if none is similar.

    Examples:
        >>> nearest('copypast', ['CopyPaste', 'RandomFlip'])
        'CopyPaste'
    """
    by_lower_case = {name.lower(): name for name in candidates}
    found = get_close_matches(word.lower(), by_lower_case, 1, cutoff)
    return by_lower_case[found[0]] if found else None


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """Returns `` Did you mean 'x'?``, or nothing if nothing is similar."""
    found = nearest(word, candidates)
    return f" Did you mean '{found}'?" if found else ''


def nearest_file(path: Path, folders: Iterable[Path]) -> Path | None:
    """Returns the file most like a path that does not exist.

    A file of the same name elsewhere comes first, then the most similar
    name, with the path's own folder before the others.

    Args:
        path: The path that was not found.
        folders: Where else to look, with all they contain.

    Returns:
        A path, or None if nothing is similar.
    """
    suffix = path.suffix or '.py'
    for files in (
        _files(path.parent, f'*{suffix}'),
        *(_files(folder, f'**/*{suffix}') for folder in folders),
    ):
        by_name = {file.stem: file for file in reversed(files)}
        found = nearest(path.stem, by_name)
        if found:
            return by_name[found]
    return None


def _files(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.glob(pattern)) if folder.is_dir() else []
