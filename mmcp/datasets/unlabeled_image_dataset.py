"""Images without annotations, from anywhere."""

import logging
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log
from numpy.typing import NDArray

from mmcp.datasets.image_sources import (
    IMAGE_SUFFIXES,
    ImageIndex,
    ImageSource,
    NameFilter,
    build_sources,
    printable,
)
from mmcp.datasets.index_cache import load_indices, locked, save_indices
from mmcp.functional.decoding import EncodedImage, UndecodableImage
from mmcp.registry import DATASETS

__all__ = ['UnlabeledImageDataset', 'UnreadableImage']

_READ, _EMPTY, _DECODED, _SMALL = 1, 2, 3, 4
_REASONS = {
    _READ: 'cannot be read',
    _EMPTY: 'is empty',
    _DECODED: 'cannot be decoded',
    _SMALL: 'is smaller than min_size',
}
_WARNINGS = 5
_SECONDS = 10.0


class UnreadableImage(ValueError):
    """An image cannot be read or decoded; the message says which and why."""


@DATASETS.register_module()
class UnlabeledImageDataset:
    """Any folders, lists and archives of images, without annotations.

    It finds the images and reads their bytes; decoding is left to the data
    set around it, such as :class:`mmcp.CopyPastePairDataset`. Names are kept
    in numpy arrays, eight bytes and the name itself an image, which forked
    workers share. Files and folders whose names begin with a dot are left
    out, except in lists. Folders are searched through links, each once; the
    order is the same on every machine.

    An image that cannot be read does not end the training: the data set
    around it takes another one and calls ``report_unreadable``, which warns
    and counts. The count is in shared memory, where all workers and the main
    process see it; :class:`mmcp.UnreadableImagesHook` writes the list.

    Args:
        sources: One or several of

            - a folder, with all folders below it;
            - a list file (``.txt``), one path a line; they start from
              ``data_root`` or, without it, from the list's own folder;
            - a ``.tar`` archive, not compressed as a whole, or a ``.zip``;
            - a pattern for several of them, ``'shards/*.tar'``;
            - ``dict(path=..., type='folder' | 'list' | 'tar' | 'zip')``, with
              ``root`` for a list, where the path does not show what it is.

            Defaults to '', meaning the folder ``data_root``.
        data_root: The folder that paths in ``sources`` start from. Defaults
            to '', the current one.
        suffixes: Endings of images in folders and archives, in upper or
            lower case. Defaults to None, meaning all that OpenCV decodes:
            ``.jpg .jpeg .png .webp .bmp .tif .tiff`` and some more.
        min_size: Least height and width in pixels. Smaller images count as
            unreadable, when they are read: nothing is opened at the start.
            Defaults to 0, meaning that all will do.
        labels: Whether the first folder of an image's path is its class, as
            in ImageNet's layout, for a monitor. Classes of equal names in
            several sources are one. Defaults to False.
        cache_file: File that keeps what was found, so that the next start
            does not search again. It is made anew when a folder, list or
            archive has changed, or the arguments have. Defaults to None,
            meaning no file.
        metainfo: Meta information of the data set. Defaults to None.

    Raises:
        FileNotFoundError: If a source does not exist.
        ValueError: If ``min_size`` is negative; if a source is of an unknown
            kind, damaged, or there twice; if there is no image at all; or if
            ``labels`` are wanted and an image lies in no folder.
    """

    def __init__(
        self,
        sources: str
        | Mapping[str, str]
        | Sequence[str | Mapping[str, str]] = '',
        data_root: str = '',
        *,
        suffixes: Sequence[str] | None = None,
        min_size: int = 0,
        labels: bool = False,
        cache_file: str | None = None,
        metainfo: Mapping[str, Any] | None = None,
    ) -> None:
        if min_size < 0:
            raise ValueError(f'min_size must be >= 0, but is {min_size}')
        self.min_size = min_size
        names = NameFilter(IMAGE_SUFFIXES if suffixes is None else suffixes)
        self._sources = build_sources(sources, data_root)
        self._indices = _found(self._sources, names, cache_file)
        counts = [len(index.names) for index in self._indices]
        self._ends: NDArray[np.int64] = np.cumsum(counts, dtype=np.int64)
        if not len(self):
            raise ValueError(_nothing_in(self._sources, names))
        self.metainfo: dict[str, Any] = dict(metainfo or {})
        self._labels: NDArray[np.int32] | None = None
        if labels:
            self._labels, classes = self._read_labels()
            self.metainfo.setdefault('classes', classes)
        self._warned = 0
        self._flags = torch.zeros(len(self), dtype=torch.uint8)
        self._share_flags()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Becomes a copy; runners copy what stands in a config."""
        self.__dict__.update(state)
        self._share_flags()

    def _share_flags(self) -> None:
        """Lets the main process see what workers find."""
        self._flags.share_memory_()  # type: ignore[no-untyped-call]

    def __len__(self) -> int:
        """Number of images, unreadable ones included."""
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Says which image it is; does not read it.

        Args:
            index: Index into the data set.

        Returns:
            A dict with ``img_path``, ``sample_idx`` and, if the data set has
            labels, ``gt_label``. ``img_path`` of an image in an archive is
            the archive's path with the image's name behind.

        Raises:
            IndexError: If there is no such image.
        """
        item = dict(img_path=self.path(index), sample_idx=int(index))
        if self._labels is not None:
            item['gt_label'] = int(self._labels[index])
        return item

    def path(self, index: int) -> str:
        """Names an image.

        Args:
            index: Index into the data set.

        Returns:
            Its path.

        Raises:
            IndexError: If there is no such image.
        """
        source, found, place = self._locate(index)
        return source.name(found, place)

    def read(self, index: int) -> bytes:
        """Reads an image file.

        Args:
            index: Index into the data set.

        Returns:
            The file's bytes, not decoded.

        Raises:
            UnreadableImage: If it is missing, empty, in a damaged archive or
                too small. It counts as reported then.
            IndexError: If there is no such image.
        """
        source, found, place = self._locate(index)
        try:
            content = source.read(found, place)
        except (OSError, ValueError) as error:
            # Without the path, which stands before it already.
            detail = getattr(error, 'strerror', None) or str(error)
            raise self._refused(index, _READ, detail) from error
        if not content:
            raise self._refused(index, _EMPTY)
        if self.min_size and _is_smaller(content, self.min_size):
            raise self._refused(index, _SMALL)
        return content

    def report_unreadable(self, index: int) -> None:
        """Counts an image that cannot be decoded, and warns of the first.

        Args:
            index: Index into the data set.
        """
        self._report(index, _DECODED)

    def __repr__(self) -> str:
        """Shows how many images there are and where they come from."""
        places = ', '.join(printable(part.path) for part in self._sources)
        return f'{type(self).__name__}({len(self):,} images in {places})'

    @property
    def unreadable(self) -> dict[int, str]:
        """Unreadable images that any worker has met so far, with reasons."""
        flags = self._flags.numpy()
        return {
            int(index): _REASONS[int(flags[index])]
            for index in np.flatnonzero(flags)
        }

    @property
    def nbytes(self) -> int:
        """Memory that the data set takes, in bytes."""
        labels = 0 if self._labels is None else self._labels.nbytes
        names = sum(index.nbytes for index in self._indices)
        return names + labels + self._flags.nbytes

    def _locate(self, index: int) -> tuple[ImageSource, ImageIndex, int]:
        if not 0 <= index < len(self):
            raise IndexError(f'image {int(index)} of {len(self)}')
        part = int(np.searchsorted(self._ends, index, side='right'))
        before = int(self._ends[part - 1]) if part else 0
        return self._sources[part], self._indices[part], int(index) - before

    def _shown(self, index: int) -> str:
        """The path for a message: a log refuses names that are no text."""
        return f"'{printable(self.path(index))}'"

    def _refused(
        self, index: int, reason: int, detail: str = ''
    ) -> UnreadableImage:
        """Counts an image and makes the error that says so."""
        self._report(index, reason, detail)
        because = f': {detail}' if detail else ''
        return UnreadableImage(
            f'{self._shown(index)} {_REASONS[reason]}{because}'
        )

    def _report(self, index: int, reason: int, detail: str = '') -> None:
        if self._flags[index]:
            return
        self._flags[index] = reason
        self._warned += 1
        if self._warned > _WARNINGS:
            return
        because = f' ({detail})' if detail else ''
        last = self._warned == _WARNINGS
        print_log(
            f'unreadable image: {self._shown(index)} {_REASONS[reason]}'
            f'{because}; another one takes its place'
            f'{"; more are counted silently" if last else ""}',
            logger='current',
            level=logging.WARNING,
        )

    def _read_labels(self) -> tuple[NDArray[np.int32], tuple[str, ...]]:
        numbers: dict[bytes, int] = {}
        labels = np.empty(len(self), np.int32)
        at = 0
        for index in self._indices:
            for place in range(len(index.names)):
                folder, slash, _ = index.names[place].partition(b'/')
                if not slash:
                    raise ValueError(
                        f'{self._shown(at)} lies in no class folder; with '
                        'labels=True every image needs one'
                    )
                labels[at] = numbers.setdefault(folder, len(numbers))
                at += 1
        return _sorted_classes(labels, list(numbers))


def _is_smaller(content: bytes, least: int) -> bool:
    """Whether a side is shorter; what cannot be decoded is found out later."""
    try:
        return min(EncodedImage(content).size) < least
    except UndecodableImage:
        return False


def _sorted_classes(
    labels: NDArray[np.int32], names: list[bytes]
) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Numbers classes in the order of their names."""
    order = sorted(range(len(names)), key=names.__getitem__)
    rank = np.empty(len(names), np.int32)
    rank[order] = np.arange(len(names), dtype=np.int32)
    classes = tuple(os.fsdecode(names[number]) for number in order)
    return rank[labels], classes


class _Progress:
    """Says every few seconds how many images are found."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._next = time.monotonic() + _SECONDS

    def __call__(self, count: int) -> None:
        if time.monotonic() >= self._next:
            self._next += _SECONDS
            _log(f'{self._path}: {count:,} images found so far ...')


def _log(text: str) -> None:
    print_log(text, logger='current')


def _found(
    sources: Sequence[ImageSource], names: NameFilter, cache_file: str | None
) -> list[ImageIndex]:
    """What the sources hold, from the cache file where it is true."""
    if cache_file is None:
        return _scan(sources, names)
    settings = [list(names.suffixes), [source.key for source in sources]]
    with locked(cache_file):
        found = load_indices(cache_file, settings)
        if found is None:
            found = _scan(sources, names)
            save_indices(cache_file, settings, found)
    return found


def _scan(
    sources: Sequence[ImageSource], names: NameFilter
) -> list[ImageIndex]:
    started = time.monotonic()
    found = [source.scan(names, _Progress(source.path)) for source in sources]
    count = sum(len(index.names) for index in found)
    seconds = time.monotonic() - started
    _log(f'{count:,} images found in {seconds:.1f} s')
    return found


def _nothing_in(sources: Sequence[ImageSource], names: NameFilter) -> str:
    where = ', '.join(f"'{source.path}'" for source in sources)
    return (
        f'no image in {where}; looked for files that end in '
        f'{" ".join(names.suffixes)}'
    )
