"""Where the members of tar and zip archives lie, and reading them there.

Neither ``tarfile`` nor ``zipfile`` reads a million members at random places
from many workers: both keep an object of several hundred bytes for each.
"""

import os
import struct
import tarfile
import zlib
from array import array
from collections.abc import Callable
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmcp.datasets.packed_strings import PackedStrings, PackedStringsBuilder

__all__ = ['MEMBER', 'ArchiveIndex', 'ArchiveReader', 'index_tar', 'index_zip']

Accepts = Callable[[bytes], bool]
Tick = Callable[[int], None]

# One member: where it begins (of zip: where its local header does), its bytes
# in the archive, its checksum (0 in tar) and how it is packed.
MEMBER = np.dtype(
    [('offset', '<i8'), ('length', '<i8'), ('crc', '<u4'), ('packing', 'u1')]
)
_PLAIN, _STORED, _DEFLATED = 0, 1, 2
_METHODS = {0: _STORED, 8: _DEFLATED}

_COMPRESSED = {
    b'\x1f\x8b': 'gzip',
    b'BZh': 'bzip2',
    b'\xfd7zXZ\x00': 'xz',
    b'\x28\xb5\x2f\xfd': 'zstd',
}

_END = struct.Struct('<4s4H2LH')
_END64 = struct.Struct('<4sQ2H2L4Q')
_LOCATOR64 = struct.Struct('<4sLQL')
_CENTRAL = struct.Struct('<4s6H3L5H2L')
_LOCAL = struct.Struct('<4s5H3L2H')
_ENCRYPTED = 0x1
_UTF8 = 0x800
_LONGEST_COMMENT = 65535
_BUFFER = 1 << 20


class ArchiveIndex(NamedTuple):
    """Images in an archive, in the archive's order.

    Args:
        names: Their names.
        members: Where they are, shape (count,), dtype ``MEMBER``.
    """

    names: PackedStrings
    members: NDArray[Any]


class _Collector:
    """Collects members column by column."""

    def __init__(self, accepts: Accepts, tick: Tick) -> None:
        self.accepts = accepts
        self._tick = tick
        self._names = PackedStringsBuilder()
        self._columns = [array('q') for _ in MEMBER.names or ()]

    def add(self, name: bytes, *values: int) -> None:
        """Adds a member, with the values of MEMBER."""
        self._names.append(name)
        for column, value in zip(self._columns, values, strict=True):
            column.append(value)
        self._tick(len(self._names))

    def build(self) -> ArchiveIndex:
        """All members so far."""
        members = np.empty(len(self._names), MEMBER)
        for key, column in zip(MEMBER.names or (), self._columns, strict=True):
            members[key] = np.array(column, np.int64)
        return ArchiveIndex(self._names.build(), members)


def index_tar(path: str, accepts: Accepts, tick: Tick) -> ArchiveIndex:
    """Finds the images of an uncompressed tar archive.

    Links and sparse files are left out.

    Args:
        path: The archive.
        accepts: Whether a member of this name is an image.
        tick: Told how many images are found, for a progress message.

    Returns:
        The images.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the archive is compressed, damaged or no tar archive.
    """
    _refuse_compressed(path)
    found = _Collector(accepts, tick)
    try:
        with tarfile.open(path, 'r:') as tar:
            while (member := tar.next()) is not None:
                # Or the archive would keep all of them.
                tar.members.clear()  # type: ignore[attr-defined]
                name = os.fsencode(member.name).removeprefix(b'./')
                plain = member.isreg() and not member.issparse()
                if plain and accepts(name):
                    found.add(name, member.offset_data, member.size, 0, _PLAIN)
            _require_end(path, tar.offset)
    except tarfile.TarError as error:
        raise ValueError(
            f"'{path}' is damaged, incomplete or no tar archive: {error}"
        ) from error
    return found.build()


def _require_end(path: str, offset: int) -> None:
    """Raises if what follows the last member is not the end of an archive."""
    with open(path, 'rb') as file:
        file.seek(offset)
        if file.read(tarfile.BLOCKSIZE).strip(b'\0'):
            raise tarfile.ReadError(f'no header at byte {offset}')


def _refuse_compressed(path: str) -> None:
    with open(path, 'rb') as file:
        head = file.read(6)
    for magic, kind in _COMPRESSED.items():
        if head.startswith(magic):
            raise ValueError(
                f"'{path}' is compressed as a whole ({kind}): its images "
                'cannot be read at random. Unpack it into a folder, or '
                'decompress it to a plain .tar (gunzip, unxz, ...); JPEG '
                'files get no larger by that'
            )


def index_zip(path: str, accepts: Accepts, tick: Tick) -> ArchiveIndex:
    """Finds the images of a zip archive, stored or deflated, also zip64.

    Args:
        path: The archive.
        accepts: Whether a member of this name is an image.
        tick: Told how many images are found, for a progress message.

    Returns:
        The images.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the archive is damaged or no zip archive, has several
            parts, or if an image is encrypted or compressed in another way.
    """
    found = _Collector(accepts, tick)
    with open(path, 'rb', buffering=_BUFFER) as file:
        try:
            _walk_zip(file, found)
        except (struct.error, _NoZipError) as error:
            raise ValueError(
                f"'{path}' is damaged, incomplete or no zip archive: {error}"
            ) from error
        except ValueError as error:
            raise ValueError(f"'{path}': {error}") from error
    return found.build()


class _NoZipError(Exception):
    """The bytes are not those of a zip archive."""


def _walk_zip(file: IO[bytes], found: _Collector) -> None:
    begin, count, shift = _central_directory(file)
    file.seek(begin)
    for _ in range(count):
        fields = _CENTRAL.unpack(file.read(_CENTRAL.size))
        if fields[0] != b'PK\x01\x02':
            raise _NoZipError('its directory is damaged')
        flags, method = fields[3:5]
        crc, packed, size = fields[7:10]
        name = file.read(fields[10])
        extra = file.read(fields[11])
        file.seek(fields[12], os.SEEK_CUR)
        if not flags & _UTF8:
            name = name.decode('cp437').encode()
        if not found.accepts(name):
            continue
        if flags & _ENCRYPTED or method not in _METHODS:
            raise ValueError(
                f'{os.fsdecode(name)} is encrypted or compressed in a way '
                'that is not read here; unpack the archive, or pack it again '
                'with zip -0'
            )
        packed, offset = _widened(extra, size, packed, fields[16])
        found.add(name, offset + shift, packed, crc, _METHODS[method])


def _central_directory(file: IO[bytes]) -> tuple[int, int, int]:
    """Where the directory begins, its entries, bytes before the archive."""
    total = file.seek(0, os.SEEK_END)
    tail_at = max(0, total - _END.size - _LONGEST_COMMENT)
    file.seek(tail_at)
    tail = file.read()
    end_at = tail.rfind(b'PK\x05\x06')
    if end_at < 0:
        raise _NoZipError('its end is missing')
    end = _END.unpack_from(tail, end_at)
    disk, count, size, offset = end[1], end[4], end[5], end[6]
    end_at += tail_at
    wide_at = end_at - _LOCATOR64.size - _END64.size
    if wide_at >= 0:
        file.seek(wide_at)
        wide = _END64.unpack(file.read(_END64.size))
        if wide[0] == b'PK\x06\x06':
            end_at = wide_at
            disk, count, size, offset = wide[4], wide[7], wide[8], wide[9]
    if disk:
        raise ValueError('archives of several parts cannot be read')
    begin = end_at - size
    if begin < offset:
        raise _NoZipError('its directory is damaged')
    return begin, count, begin - offset


def _widened(extra: bytes, size: int, packed: int, offset: int) -> Any:
    """Length and offset, from the zip64 field where they do not fit."""
    full = 0xFFFFFFFF
    at = 0
    while full in (size, packed, offset) and at + 4 <= len(extra):
        kind, length = struct.unpack_from('<2H', extra, at)
        if kind == 1:
            wide = iter(struct.unpack_from(f'<{length // 8}Q', extra, at + 4))
            given = [
                next(wide, full) if value == full else value
                for value in (size, packed, offset)
            ]
            return given[1:]
        at += 4 + length
    return packed, offset


class ArchiveReader:
    """Reads members of archives from any process.

    Every process opens an archive when it first needs it; positions are given
    with each read, so that forked workers do not disturb each other.
    """

    _MOST_OPEN = 64

    def __init__(self) -> None:
        self._handles: dict[tuple[int, str], _Handle] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Handles stay in their process."""
        return {'_handles': {}}

    def read(self, path: str, member: Any) -> bytes:
        """Reads one member.

        Args:
            path: The archive.
            member: Where it is, of dtype ``MEMBER``.

        Returns:
            The member's bytes.

        Raises:
            OSError: If the archive cannot be read.
            ValueError: If the member is damaged.
        """
        offset, length, crc, packing = member.tolist()
        handle = self._open(path)
        if packing == _PLAIN:
            return handle.read(offset, length)
        header = _LOCAL.unpack(handle.read(offset, _LOCAL.size))
        if header[0] != b'PK\x03\x04':
            raise ValueError('the archive has changed or is damaged')
        offset += _LOCAL.size + header[9] + header[10]
        content = handle.read(offset, length)
        if packing == _DEFLATED:
            content = _inflated(content)
        if zlib.crc32(content) != crc:
            raise ValueError('its checksum is wrong')
        return content

    def _open(self, path: str) -> '_Handle':
        key = os.getpid(), path
        handle = self._handles.get(key)
        if handle is None:
            if len(self._handles) >= self._MOST_OPEN:
                self._handles.clear()
            handle = self._handles[key] = _Handle(path)
        return handle


def _inflated(content: bytes) -> bytes:
    try:
        return zlib.decompress(content, -zlib.MAX_WBITS)
    except zlib.error as error:
        raise ValueError('its compressed bytes are damaged') from error


class _Handle:
    """An open file without a position, closed when nobody has it."""

    def __init__(self, path: str) -> None:
        self._descriptor = -1
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def read(self, offset: int, length: int) -> bytes:
        content = os.pread(self._descriptor, length, offset)
        if len(content) != length:
            raise ValueError('the archive is shorter than it was')
        return content

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
