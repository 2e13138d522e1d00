"""Finding and checking the image files of a folder."""

import warnings
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from mmengine import fileio

__all__ = ['check_files', 'list_images', 'require_folder']

Checked = TypeVar('Checked')

_SUFFIXES = ('.png', '.webp', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff')
_THREADS = 8
_NAMED = 3


def require_folder(folder: str, backend_args: dict[str, Any] | None) -> None:
    """Makes sure that a folder exists.

    Args:
        folder: Path of the folder.
        backend_args: Of mmengine's file backends.

    Raises:
        FileNotFoundError: If it does not.
    """
    if not fileio.isdir(folder, backend_args=backend_args):
        raise FileNotFoundError(
            f"there is no folder '{folder}'; look at data_root and "
            "data_prefix['img']"
        )


def list_images(folder: str, backend_args: dict[str, Any] | None) -> list[str]:
    """Lists the images in a folder and in all folders below.

    Args:
        folder: Path of the folder.
        backend_args: Of mmengine's file backends.

    Returns:
        Paths relative to the folder, sorted.
    """
    paths = fileio.list_dir_or_file(
        folder, list_dir=False, recursive=True, backend_args=backend_args
    )
    return sorted(p for p in paths if p.lower().endswith(_SUFFIXES))


def check_files(
    folder: str,
    paths: Sequence[str],
    check: Callable[[str], Checked],
) -> dict[str, Checked]:
    """Checks files and leaves out the bad ones with one warning for all.

    Args:
        folder: What the files are called in the warning.
        paths: The files.
        check: Gets a path. A ``ValueError`` says why a file is bad.

    Returns:
        What ``check`` gave for every good file, in the order of ``paths``.
    """
    good: dict[str, Checked] = {}
    bad: dict[str, list[str]] = defaultdict(list)
    with ThreadPoolExecutor(_THREADS) as pool:
        for path, found in zip(
            paths, pool.map(lambda path: _try(check, path), paths), strict=True
        ):
            if isinstance(found, ValueError):
                bad[str(found)].append(path)
            else:
                good[path] = found
    if bad:
        _report(folder, bad, len(paths))
    return good


def _try(check: Callable[[str], Checked], path: str) -> Checked | ValueError:
    try:
        return check(path)
    except ValueError as error:
        return error


def _report(folder: str, bad: dict[str, list[str]], total: int) -> None:
    count = sum(len(paths) for paths in bad.values())
    reasons = []
    for reason, paths in bad.items():
        more = ', ...' if len(paths) > _NAMED else ''
        names = ', '.join(paths[:_NAMED])
        reasons.append(f'{len(paths)} {reason} ({names}{more})')
    warnings.warn(
        f'{folder.rstrip("/")}: {count} of {total} images are left out: '
        f'{"; ".join(reasons)}',
        stacklevel=2,
    )
