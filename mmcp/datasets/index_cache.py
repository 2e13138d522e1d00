"""A file that keeps what a search for images found."""

import json
import os
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmcp.datasets.file_stamps import FileStamps
from mmcp.datasets.image_sources import ImageIndex
from mmcp.datasets.packed_strings import PackedStrings

try:
    import fcntl
except ImportError:  # Not on Windows.
    fcntl = None  # type: ignore[assignment]

__all__ = ['load_indices', 'locked', 'save_indices']

_VERSION = 1


@contextmanager
def locked(path: str) -> Iterator[None]:
    """Lets one process of a machine search and write; others wait.

    Args:
        path: The cache file.

    Yields:
        Nothing.
    """
    os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
    with open(f'{path}.lock', 'ab') as file:
        # Some network file systems have no locks: then all search.
        with suppress(OSError):
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def save_indices(
    path: str, settings: Any, indices: Sequence[ImageIndex]
) -> None:
    """Writes the file; whoever reads sees the old or the new one.

    Args:
        path: The cache file.
        settings: What the search depended on besides the files; JSON.
        indices: What it found.
    """
    arrays: dict[str, NDArray[Any]] = {'key': _key(settings, len(indices))}
    for place, index in enumerate(indices):
        for name, values in _arrays_of(index).items():
            arrays[f'{place}.{name}'] = values
    # Not a NamedTemporaryFile, which nobody else might read.
    draft = f'{path}.{os.getpid()}.draft'
    try:
        with open(draft, 'wb') as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        os.replace(draft, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(draft)


def load_indices(path: str, settings: Any) -> list[ImageIndex] | None:
    """Reads the file if it is still true.

    Args:
        path: The cache file.
        settings: What the search depends on besides the files; JSON.

    Returns:
        What the search found; None if there is no such file, if it is
        damaged or of other settings, or if a source has changed since.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None
    count = sum(name.endswith('.names') for name in arrays)
    if not np.array_equal(arrays.get('key', ()), _key(settings, count)):
        return None
    try:
        found = [_index_from(arrays, place) for place in range(count)]
    except (KeyError, ValueError):
        return None
    fresh = all(index.stamps.unchanged() for index in found)
    return found if fresh else None


def _key(settings: Any, count: int) -> NDArray[np.uint8]:
    text = json.dumps([_VERSION, count, settings], sort_keys=True)
    return np.frombuffer(text.encode(), np.uint8)


def _arrays_of(index: ImageIndex) -> dict[str, NDArray[Any]]:
    return {
        'names': index.names.data,
        'name_offsets': index.names.offsets,
        'members': index.members,
        'stamped': index.stamps.paths.data,
        'stamped_offsets': index.stamps.paths.offsets,
        'states': index.stamps.states,
    }


def _index_from(arrays: dict[str, NDArray[Any]], place: int) -> ImageIndex:
    names, offsets, members, stamped, stamped_offsets, states = (
        arrays[f'{place}.{name}']
        for name in (
            'names',
            'name_offsets',
            'members',
            'stamped',
            'stamped_offsets',
            'states',
        )
    )
    stamps = FileStamps(PackedStrings(stamped, stamped_offsets), states)
    return ImageIndex(PackedStrings(names, offsets), members, stamps)
