"""Where unlabelled images come from: folders, list files, archives.

A source finds its images once (``scan``) and reads any of them afterwards. It
holds no list of them itself: that is an :class:`ImageIndex`, which can be
kept in a file and is shared by forked workers.
"""

import glob
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mmcp.datasets.archive_index import (
    MEMBER,
    ArchiveIndex,
    ArchiveReader,
    index_tar,
    index_zip,
)
from mmcp.datasets.file_stamps import FileStamps, FileStampsBuilder
from mmcp.datasets.packed_strings import PackedStrings, PackedStringsBuilder

__all__ = [
    'IMAGE_SUFFIXES',
    'ImageIndex',
    'ImageSource',
    'NameFilter',
    'build_sources',
    'printable',
]

IMAGE_SUFFIXES = (
    '.jpg',
    '.jpeg',
    '.jpe',
    '.png',
    '.webp',
    '.bmp',
    '.tif',
    '.tiff',
    '.jp2',
    '.ppm',
    '.pgm',
)

_NO_MEMBERS: NDArray[Any] = np.empty(0, MEMBER)
_NAMED = 3

Tick = Callable[[int], None]
Accepts = Callable[[bytes], bool]


def printable(path: str) -> str:
    """Writes a path so that any log takes it.

    Args:
        path: A path, perhaps with bytes that are no text.

    Returns:
        The same with escapes for these bytes.
    """
    return path.encode('utf-8', 'backslashreplace').decode()


class ImageIndex(NamedTuple):
    """The images of one source.

    Args:
        names: Their names inside the source, with ``/`` between folders.
        members: Where an archive holds them, shape (count,), dtype
            ``archive_index.MEMBER``; empty for files.
        stamps: What must be unchanged for this to be true still.
    """

    names: PackedStrings
    members: NDArray[Any]
    stamps: FileStamps

    @property
    def nbytes(self) -> int:
        """Memory in bytes, stamps included."""
        parts = (self.names, self.members, self.stamps)
        return sum(part.nbytes for part in parts)


class NameFilter:
    """Says by its name whether a file is an image.

    Args:
        suffixes: Endings with their dot; case does not matter.

    Raises:
        ValueError: If there is none, or one has no dot.
    """

    def __init__(self, suffixes: Sequence[str]) -> None:
        wrong = [suffix for suffix in suffixes if not suffix.startswith('.')]
        if isinstance(suffixes, str) or not suffixes or wrong:
            raise ValueError(
                "suffixes must be a list like ('.jpg', '.png'), but they are "
                f'{suffixes!r}'
            )
        self.suffixes = tuple(sorted({s.lower() for s in suffixes}))
        self._endings = tuple(os.fsencode(s) for s in self.suffixes)

    def has_suffix(self, name: bytes) -> bool:
        """Whether the ending is that of an image.

        Args:
            name: A file name or path.
        """
        return name.lower().endswith(self._endings)

    def accepts(self, name: bytes) -> bool:
        """Whether it is an image and neither it nor a folder is hidden.

        Args:
            name: A file name or path inside the source.
        """
        return (
            self.has_suffix(name)
            and not name.startswith(b'.')
            and b'/.' not in name
        )


class ImageSource(Protocol):
    """Where images come from."""

    path: str

    @property
    def key(self) -> str:
        """All that the found images depend on besides the files."""

    def scan(self, names: NameFilter, tick: Tick) -> ImageIndex:
        """Finds the images.

        Args:
            names: Says which files are images.
            tick: Told how many are found so far.
        """

    def read(self, index: ImageIndex, place: int) -> bytes:
        """Reads an image.

        Args:
            index: What ``scan`` gave.
            place: Place in it.

        Raises:
            OSError: If it cannot be read.
            ValueError: If an archive is damaged there.
        """

    def name(self, index: ImageIndex, place: int) -> str:
        """Names an image so that a user finds it.

        Args:
            index: What ``scan`` gave.
            place: Place in it.
        """


class _Files:
    """What sources of single files share."""

    path: str
    root: str

    def read(self, index: ImageIndex, place: int) -> bytes:
        with open(self._full(index, place), 'rb') as file:
            return file.read()

    def name(self, index: ImageIndex, place: int) -> str:
        return os.fsdecode(self._full(index, place))

    def _full(self, index: ImageIndex, place: int) -> bytes:
        return os.path.join(os.fsencode(self.root), index.names[place])


class FolderSource(_Files):
    """A folder and all folders below it, also through links.

    A folder's own images come first, then its folders, each in the order of
    their bytes. A folder that is reached twice is listed once.

    Args:
        path: The folder.

    Raises:
        FileNotFoundError: If there is no such folder.
    """

    def __init__(self, path: str) -> None:
        if not os.path.isdir(path):
            raise FileNotFoundError(f"there is no folder '{path}'")
        self.path = self.root = path

    @property
    def key(self) -> str:
        return f'folder {os.path.abspath(self.path)}'

    def scan(self, names: NameFilter, tick: Tick) -> ImageIndex:
        walk = _Walk(os.fsencode(self.path), names)
        found = PackedStringsBuilder()
        for name in walk:
            found.append(name)
            tick(len(found))
        walk.warn()
        return ImageIndex(found.build(), _NO_MEMBERS, walk.stamps.build())


class _Walk:
    """Goes through a folder tree and yields the images' relative paths."""

    def __init__(self, root: bytes, names: NameFilter) -> None:
        self.stamps = FileStampsBuilder()
        self._root = root
        self._names = names
        self._seen: set[tuple[int, int]] = set()
        self._skipped: list[bytes] = []

    def __iter__(self) -> Iterator[bytes]:
        waiting = [b'']
        while waiting:
            folder = waiting.pop()
            if not self._is_new(folder):
                continue
            images, below = self._list(folder)
            prefix = folder + b'/' if folder else b''
            for name in sorted(images):
                yield prefix + name
            waiting += [prefix + name for name in sorted(below, reverse=True)]

    def _is_new(self, folder: bytes) -> bool:
        """Notes a folder; False if a link led here before."""
        path = os.path.join(self._root, folder)
        try:
            found = os.stat(path)
        except OSError:
            self._skipped.append(folder)
            return False
        identity = found.st_dev, found.st_ino
        if identity in self._seen:
            return False
        self._seen.add(identity)
        self.stamps.add(path)
        return True

    def _list(self, folder: bytes) -> tuple[list[bytes], list[bytes]]:
        """Images and folders in a folder, as the system gives them."""
        images: list[bytes] = []
        below: list[bytes] = []
        try:
            with os.scandir(os.path.join(self._root, folder)) as entries:
                for entry in entries:
                    self._sort_in(entry, folder, images, below)
        except OSError:
            if not folder:
                raise
            self._skipped.append(folder)
        return images, below

    def _sort_in(
        self,
        entry: os.DirEntry[bytes],
        folder: bytes,
        images: list[bytes],
        below: list[bytes],
    ) -> None:
        if entry.name.startswith(b'.'):
            return
        if entry.is_dir():
            below.append(entry.name)
        elif self._names.has_suffix(entry.name):
            if entry.is_file():
                images.append(entry.name)
            else:
                # A link to nothing, a pipe.
                self._skipped.append(os.path.join(folder, entry.name))

    def warn(self) -> None:
        """Warns once of all that could not be followed."""
        if not self._skipped:
            return
        root, *named = (
            printable(os.fsdecode(path))
            for path in [self._root, *self._skipped[:_NAMED]]
        )
        more = ', ...' if len(self._skipped) > _NAMED else ''
        warnings.warn(
            f'{root}: {len(self._skipped)} folders or images are left out: '
            'no permission, or links to nothing '
            f'({", ".join(named)}{more})',
            stacklevel=4,
        )


class ListSource(_Files):
    """A text file with one path a line, in the order of the file.

    A class number after the path, as in lists of ImageNet, is left out.

    Args:
        path: The text file; its encoding is that of the file names.
        root: The folder that the paths start from; absolute paths may stand
            in the list too.

    Raises:
        FileNotFoundError: If there is no such file.
    """

    def __init__(self, path: str, root: str) -> None:
        if not os.path.isfile(path):
            raise FileNotFoundError(f"there is no list '{path}'")
        self.path = path
        self.root = root

    @property
    def key(self) -> str:
        return (
            f'list {os.path.abspath(self.path)} {os.path.abspath(self.root)}'
        )

    def scan(self, names: NameFilter, tick: Tick) -> ImageIndex:
        stamps = FileStampsBuilder()
        stamps.add(os.fsencode(self.path))
        found = PackedStringsBuilder()
        with open(self.path, 'rb') as lines:
            for line in lines:
                name = _path_in(line, names)
                if name:
                    found.append(name)
                    tick(len(found))
        return ImageIndex(found.build(), _NO_MEMBERS, stamps.build())


def _path_in(line: bytes, names: NameFilter) -> bytes:
    line = line.removeprefix(b'\xef\xbb\xbf').strip()
    path, _, label = line.rpartition(b' ')
    if label.isdigit() and names.has_suffix(path.rstrip()):
        return path.rstrip()
    return line


class _Archive(ABC):
    """What sources of archives share.

    Args:
        path: The archive.

    Raises:
        FileNotFoundError: If there is no such file.
    """

    kind: ClassVar[str]

    def __init__(self, path: str, reader: ArchiveReader) -> None:
        if not os.path.isfile(path):
            raise FileNotFoundError(f"there is no archive '{path}'")
        self.path = path
        self._reader = reader

    @property
    def key(self) -> str:
        return f'{self.kind} {os.path.abspath(self.path)}'

    def scan(self, names: NameFilter, tick: Tick) -> ImageIndex:
        stamps = FileStampsBuilder()
        stamps.add(os.fsencode(self.path))
        found = self._find(names.accepts, tick)
        return ImageIndex(found.names, found.members, stamps.build())

    def read(self, index: ImageIndex, place: int) -> bytes:
        return self._reader.read(self.path, index.members[place])

    def name(self, index: ImageIndex, place: int) -> str:
        return f'{self.path}/{os.fsdecode(index.names[place])}'

    @abstractmethod
    def _find(self, accepts: Accepts, tick: Tick) -> ArchiveIndex:
        """Finds the images of the archive."""


class TarSource(_Archive):
    """An uncompressed tar archive, in the archive's order."""

    kind = 'tar'

    def _find(self, accepts: Accepts, tick: Tick) -> ArchiveIndex:
        return index_tar(self.path, accepts, tick)


class ZipSource(_Archive):
    """A zip archive, in the archive's order."""

    kind = 'zip'

    def _find(self, accepts: Accepts, tick: Tick) -> ArchiveIndex:
        return index_zip(self.path, accepts, tick)


_BY_SUFFIX = {
    '.txt': 'list',
    '.lst': 'list',
    '.zip': 'zip',
    '.tar': 'tar',
    # Refused with a reason when they are read.
    '.tgz': 'tar',
    '.tar.gz': 'tar',
    '.tar.bz2': 'tar',
    '.tar.xz': 'tar',
    '.tar.zst': 'tar',
}


def build_sources(
    sources: str | Mapping[str, str] | Sequence[str | Mapping[str, str]],
    data_root: str,
) -> list[ImageSource]:
    """Makes sources from what a config says.

    Args:
        sources: One or several of: a path, whose kind is seen from it; a
            pattern with ``*``, for all that it matches; a dict with ``path``
            and ``type`` (``'folder'``, ``'list'``, ``'tar'`` or ``'zip'``)
            and, of a list, ``root``. An empty path is ``data_root`` itself.
        data_root: The folder that all paths start from.

    Returns:
        The sources in their order, those of a pattern sorted.

    Raises:
        FileNotFoundError: If there is no such file or folder.
        ValueError: If a source is none of the kinds, or there twice.
    """
    if isinstance(sources, str | Mapping):
        sources = [sources]
    reader = ArchiveReader()
    built = [
        _build(config, data_root, reader)
        for source in sources
        for config in _expanded(source, data_root)
    ]
    keys = [source.key for source in built]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise ValueError(f'sources named twice: {", ".join(twice)}')
    if not built:
        raise ValueError('sources is empty; name at least one')
    return built


def _expanded(
    source: str | Mapping[str, str], data_root: str
) -> list[Mapping[str, str]]:
    if isinstance(source, Mapping):
        return [source]
    if not glob.has_magic(source) or os.path.exists(
        os.path.join(data_root, source)
    ):
        return [dict(path=source)]
    found = sorted(glob.glob(source, root_dir=data_root or None))
    if not found:
        raise FileNotFoundError(
            f"nothing matches '{os.path.join(data_root, source)}'"
        )
    return [dict(path=path) for path in found]


def _build(
    config: Mapping[str, str], data_root: str, reader: ArchiveReader
) -> ImageSource:
    options = dict(config)
    below = options.pop('path', '')
    path = os.path.join(data_root, below) if below else data_root or '.'
    kind = options.pop('type', '') or _kind_of(path)
    if kind == 'list':
        root = options.pop('root', '') or data_root or os.path.dirname(path)
        found: ImageSource = ListSource(path, root)
    elif kind == 'folder':
        found = FolderSource(path)
    elif kind in ('tar', 'zip'):
        found = {'tar': TarSource, 'zip': ZipSource}[kind](path, reader)
    else:
        raise ValueError(
            f"type of a source must be 'folder', 'list', 'tar' or 'zip', but "
            f'is {kind!r}'
        )
    if options:
        raise ValueError(
            f'source {dict(config)} has unknown keys: {", ".join(options)}'
        )
    return found


def _kind_of(path: str) -> str:
    if os.path.isdir(path):
        return 'folder'
    for suffix, kind in _BY_SUFFIX.items():
        if path.lower().endswith(suffix):
            return kind
    if not os.path.exists(path):
        raise FileNotFoundError(
            f"there is no '{path}'; look at data_root and sources"
        )
    raise ValueError(
        f"'{path}' is no folder, list (.txt) or archive (.tar, .zip); if it "
        "is one, say so: dict(path=..., type='list')"
    )
