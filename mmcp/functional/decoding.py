"""Decoding of image files, at a reduced size where that is enough.

JPEG stores 8x8 blocks of frequencies; leaving out the high ones gives the
image at a half, a quarter or an eighth of its size for a fraction of the
time. How large the image is stands in the file's header, so that a crop can
be drawn before anything is decoded. Channels come as OpenCV has them, BGR.
"""

import struct
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ['EncodedImage', 'LateImage', 'PixelImage', 'UndecodableImage']

Pixels = NDArray[np.uint8]

_REDUCED = {
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
_JPEG = b'\xff\xd8\xff'
_END = b'\xff\xd9'
_EXIF = b'Exif\x00\x00'
_XMP = b'http://ns.adobe.com/'
_TIFF = {b'II*\x00': '<', b'MM\x00*': '>'}
# Markers that say how large the image is: all frames, but not the tables
# (C4), the arithmetic conditioning (CC) or the extension (C8) among them.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_STANDALONE = frozenset((0x01, *range(0xD0, 0xD9)))
_SCAN, _APP1 = 0xDA, 0xE1
_ORIENTATION, _SHORT = 0x0112, 3
# Bytes of a value, by its type in EXIF data.
_BYTES = dict(enumerate((1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8), 1))
# Orientations from here on exchange height and width.
_TURNED = 5


class UndecodableImage(ValueError):
    """A file is no image, or damaged; the message says which of the two."""


class PixelImage:
    """An image that is decoded already, with the interface of a file.

    Args:
        pixels: BGR image of shape (H, W, 3), uint8.
    """

    def __init__(self, pixels: Pixels) -> None:
        self._pixels = pixels

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self._pixels.shape[0], self._pixels.shape[1]

    def decode(self, reduction: int = 1) -> Pixels:
        """The pixels, whatever the reduction.

        Args:
            reduction: Not used. Defaults to 1.

        Returns:
            The image itself, BGR of shape (H, W, 3), uint8.
        """
        return self._pixels


class EncodedImage:
    """The bytes of an image file.

    Anything that OpenCV reads: gray, palette, 16 bit and CMYK become BGR,
    transparency is dropped, the orientation of a camera is applied.

    Args:
        content: The file's bytes.

    Raises:
        UndecodableImage: If the file is empty, or a JPEG that is cut short.
    """

    def __init__(self, content: bytes) -> None:
        if not content:
            raise UndecodableImage('the file is empty')
        self._content = content
        is_jpeg = content.startswith(_JPEG)
        self._header_size = _jpeg_size(content) if is_jpeg else None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the whole image, upright.

        Raises:
            UndecodableImage: If the file has to be decoded to know, and
                cannot be.
        """
        if self._header_size is not None:
            return self._header_size
        return self._whole.shape[0], self._whole.shape[1]

    def decode(self, reduction: int = 1) -> Pixels:
        """Decodes the image.

        Args:
            reduction: 1, 2, 4 or 8: how many times smaller a JPEG may be
                decoded. Other files come whole. Defaults to 1.

        Returns:
            BGR image, uint8, of shape (H, W, 3) or (ceil(H / reduction),
            ceil(W / reduction), 3).

        Raises:
            UndecodableImage: If the file is no image or damaged.
        """
        if reduction == 1 or self._header_size is None:
            return self._whole
        return _decode(self._content, _REDUCED[reduction])

    @cached_property
    def _whole(self) -> Pixels:
        return _decode(self._content, cv2.IMREAD_COLOR)


class LateImage:
    """A JPEG that stands for its pixels and is decoded where they are needed.

    Its shape stands in the header; ``np.asarray`` gives BGR pixels, uint8,
    decoded anew at every call.

    Args:
        content: The file's bytes.
        name: What an error calls it.

    Raises:
        UndecodableImage: If the size is not to be had without decoding, or
            the file is cut short.
    """

    ndim = 3
    dtype = np.dtype(np.uint8)

    def __init__(self, content: bytes, name: str = 'the image') -> None:
        size = _jpeg_size(content) if content.startswith(_JPEG) else None
        if size is None:
            raise UndecodableImage(f'{name} is no JPEG with a plain header')
        self.name = name
        self.shape = (*size, 3)
        self._content = content

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Pixels:
        """Decodes the image.

        Raises:
            UndecodableImage: If the file is damaged.
        """
        try:
            pixels = _decode(self._content, cv2.IMREAD_COLOR)
        except UndecodableImage as error:
            raise UndecodableImage(f'{self.name}: {error}') from error
        if pixels.shape != self.shape:
            raise UndecodableImage(
                f'{self.name} has {self.shape[:2]} pixels (height, width) by '
                f'its header, but {pixels.shape[:2]} were found'
            )
        return pixels if dtype is None else pixels.astype(dtype, copy=False)


def _decode(content: bytes, flags: int) -> Pixels:
    data = np.frombuffer(content, np.uint8)
    try:
        image = cv2.imdecode(data, flags)
    except cv2.error as error:
        # A size beyond OpenCV's limits, for example.
        raise UndecodableImage(str(error).strip()) from error
    if image is None:
        raise UndecodableImage('the file is not an image, or damaged')
    pixels: Pixels = image
    return pixels


def _jpeg_size(content: bytes) -> tuple[int, int] | None:
    """Height and width of a JPEG, upright; None if its header is odd.

    Raises:
        UndecodableImage: If the file does not go on to its end marker.
            OpenCV would fill the rest with gray.
    """
    sizes = []
    turns = set()
    for marker, start, stop in _segments(content):
        if marker == _APP1:
            turns.add(_is_turned(content[start:stop]))
        elif marker in _FRAMES and stop - start >= 5:
            if content.rfind(_END, stop) < 0:
                raise UndecodableImage('the JPEG is cut short')
            sizes.append(struct.unpack_from('>HH', content, start + 1))
        elif marker == _SCAN:
            break
    else:
        return None
    # Which of several segments count differs between versions of OpenCV.
    doubtful = None in turns or len(turns) > 1
    if doubtful or len(sizes) != 1 or not all(sizes[0]):
        return None
    height, width = sizes[0]
    return (width, height) if True in turns else (height, width)


def _segments(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Markers up to the first pixels, with the range of what they hold."""
    place = 2
    while place + 4 <= len(content) and content[place] == 0xFF:
        marker = content[place + 1]
        if marker == 0xFF:
            place += 1
            continue
        if marker in _STANDALONE:
            place += 2
            continue
        (length,) = struct.unpack_from('>H', content, place + 2)
        stop = min(place + 2 + length, len(content))
        yield marker, place + 4, stop
        place = stop


def _is_turned(segment: bytes) -> bool | None:
    """Whether EXIF data say that the image lies on its side.

    Returns:
        None if they are not as they should be: OpenCV may read them all the
        same.
    """
    if segment.startswith(_XMP):
        return False
    entries = _exif_entries(segment)
    if entries is None:
        return None
    found = [entry[1:] for entry in entries if entry[0] == _ORIENTATION]
    if not found:
        return False
    kind, count, value = found[0]
    if len(found) > 1 or (kind, count) != (_SHORT, 1):
        return None
    return _TURNED <= value <= 8


def _exif_entries(segment: bytes) -> list[tuple[int, int, int, int]] | None:
    """Tag, type, count and first two bytes of what EXIF data hold.

    Returns:
        None if they do not lie within the segment, as a broken tool may
        leave them.
    """
    tiff = segment[len(_EXIF) :]
    order = _TIFF.get(tiff[:4])
    if order is None or not segment.startswith(_EXIF) or len(tiff) < 8:
        return None
    (directory,) = struct.unpack_from(f'{order}I', tiff, 4)
    if directory + 2 > len(tiff):
        return None
    (length,) = struct.unpack_from(f'{order}H', tiff, directory)
    rows = tiff[directory + 2 : directory + 2 + 12 * length]
    if len(rows) < 12 * length:
        return None
    for _, kind, count, place in struct.iter_unpack(f'{order}HHII', rows):
        size = count * _BYTES.get(kind, len(tiff))
        if size > 4 and place + size > len(tiff):
            return None
    return list(struct.iter_unpack(f'{order}HHIHxx', rows))
