"""The image under a scale jitter: all of it, or windows of it.

The pixels are those of MMDetection's RandomResize, RandomCrop, RandomFlip and
Pad, in this order, but only what survives the crop is ever resized.
Shapes: H W input image, h w a window of the output.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mmcp.functional.decoding import LateImage
from mmcp.functional.freed_memory import keep_freed_memory
from mmcp.functional.jitter import JitterParams, fill_outside

__all__ = ['MAX_EXCESS', 'JitteredImage', 'jitter_image']

# How many times the memory of its pixels an image may keep alive.
MAX_EXCESS = 1.15
# How far, in source pixels, a resized window may lie beside its exact place.
# At 1/64 the mean gray level of a photograph changes by about 0.05.
_MAX_SHIFT = 1 / 64


class JitteredImage:
    """The output of a jitter, made when and where it is looked at.

    Stands for what :func:`jitter_image` gives: it has the shape and dtype,
    ``np.asarray`` makes the whole array, and slicing makes a window without
    the rest. To a gray level or so, since a window may be resized from a
    place that lies 1/64 of an input pixel beside that of the whole.

    Args:
        image: Image of shape (H, W) or (H, W, C), of a dtype that OpenCV
            resizes, decoded or not. It must not change later.
        params: The jitter.
        pad_value: Value right of and below the image, one number or one a
            channel. Defaults to 0.
    """

    def __init__(
        self,
        image: NDArray[Any] | LateImage,
        params: JitterParams,
        pad_value: float | Sequence[float] = 0,
    ) -> None:
        self._image = image
        self.params = params
        self.pad_value = pad_value

    @property
    def image(self) -> NDArray[Any]:
        """The input, which is decoded when it is first asked for."""
        if isinstance(self._image, LateImage):
            self._image = np.asarray(self._image)
        return self._image

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the output."""
        return *self.params.output, *self._image.shape[2:]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._image.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels."""
        return self._image.dtype

    @property
    def nbytes(self) -> int:
        """Memory of the output, were it made, in bytes."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def __array__(
        self, dtype: Any = None, copy: bool | None = None
    ) -> NDArray[Any]:
        """The whole output, a new array at every call."""
        out = jitter_image(self.image, self.params, self.pad_value)
        return out if dtype is None else out.astype(dtype, copy=False)

    def __getitem__(self, window: tuple[slice, slice]) -> NDArray[Any]:
        """Makes the pixels of a window.

        Args:
            window: Rows and columns, without steps.

        Returns:
            Shape (h, w) or (h, w, C).
        """
        rows, columns = (
            part.indices(side)[:2]
            for part, side in zip(window, self.shape[:2], strict=True)
        )
        size = max(rows[1] - rows[0], 0), max(columns[1] - columns[0], 0)
        if not all(size):
            return np.empty((*size, *self._image.shape[2:]), self.dtype)
        height, width = self.params.window
        if rows[1] > height or columns[1] > width:
            padded: NDArray[Any] = np.asarray(self)[window]
            return padded
        left = width - columns[1] if self.params.flip else columns[0]
        y, x = self.params.offset
        part = _part_of(self.params, (y + rows[0], x + left), size)
        resized = np.empty((*part.size, *self.image.shape[2:]), self.dtype)
        part.resize(self.image, self.params, resized)
        y, x = part.margin
        return resized[y : y + size[0], x : x + size[1]]


def jitter_image(
    image: NDArray[Any],
    params: JitterParams,
    pad_value: float | Sequence[float] = 0,
) -> NDArray[Any]:
    """Resizes, crops, flips and pads an image, bilinearly.

    Args:
        image: Image of shape (H, W) or (H, W, C), of a dtype that OpenCV
            resizes.
        params: The jitter.
        pad_value: Value right of and below the image, one number or one a
            channel. Defaults to 0.

    Returns:
        A new image of size ``params.output``, same dtype. Its rows are
        contiguous, but there may be a gap between them.
    """
    keep_freed_memory()
    part = _part_of(params, params.offset, params.window)
    (y, x), (height, width) = part.margin, params.output
    # What is resized beside the window stays there: to cut it off would be
    # to copy the whole output.
    rows, columns = max(y + height, part.size[0]), max(x + width, part.size[1])
    canvas = np.empty((rows, columns, *image.shape[2:]), image.dtype)
    part.resize(image, params, canvas[: part.size[0], : part.size[1]])
    fill_outside(
        canvas, (y + params.window[0], x + params.window[1]), pad_value
    )
    out = canvas[y : y + height, x : x + width]
    if canvas.size > MAX_EXCESS * out.size:
        out = out.copy()
    return out


class _Part(NamedTuple):
    """A part of the input that gives a window of the output, and more.

    Args:
        source: Half-open range of the part in the mirrored or plain input,
            ``x0, y0, x1, y1``.
        flip: Whether the input is mirrored first.
        size: Height and width of the resized part.
        margin: Where the window begins in it, (y, x).
    """

    source: tuple[int, int, int, int]
    flip: bool
    size: tuple[int, int]
    margin: tuple[int, int]

    def resize(
        self, image: NDArray[Any], params: JitterParams, out: NDArray[Any]
    ) -> None:
        """Resizes the part.

        Args:
            image: The input.
            params: The jitter.
            out: Of the part's size, written to.
        """
        if image.ndim == 3 and image.shape[2] == 1:
            # OpenCV drops such an axis.
            image, out = image[..., 0], out[..., 0]
        x0, y0, x1, y1 = self.source
        if self.flip:
            width = image.shape[1]
            image = cv2.flip(image[y0:y1, width - x1 : width - x0], 1)
        else:
            image = image[y0:y1, x0:x1]
        # Without a size OpenCV takes the factors as they are.
        fx, fy = params.scale_factor
        cv2.resize(image, None, dst=out, fx=fx, fy=fy)


def _part_of(
    params: JitterParams, offset: tuple[int, int], window: tuple[int, int]
) -> _Part:
    """Finds what must be resized for a window of the resized image.

    OpenCV's bilinear resize of a part of the image equals that part of the
    resized image if the part begins at the place of an output pixel's edge.

    Args:
        params: The jitter.
        offset: Corner of the window in the resized image, (y, x).
        window: Height and width of the window.
    """
    y, x = offset
    if params.flip:
        x = params.resized[1] - x - window[1]
    rows = _span(params, 0, y, window[0])
    columns = _span(params, 1, x, window[1])
    same_scale = params.resized == params.image_size
    if rows.is_same and columns.is_same and not same_scale:
        # OpenCV ignores the factors where they do not change the size.
        rows, columns = _whole(params, 0, y), _whole(params, 1, x)
    return _Part(
        source=(columns.start, rows.start, columns.stop, rows.stop),
        flip=params.flip,
        size=(rows.length, columns.length),
        margin=(rows.margin, columns.margin),
    )


class _Span(NamedTuple):
    """The part along one axis; see :class:`_Part`."""

    start: int
    stop: int
    length: int
    margin: int

    @property
    def is_same(self) -> bool:
        """Whether it keeps its length."""
        return self.length == self.stop - self.start


def _whole(params: JitterParams, axis: int, begin: int) -> _Span:
    """All of the input along an axis."""
    return _Span(0, params.image_size[axis], params.resized[axis], begin)


def _span(params: JitterParams, axis: int, begin: int, length: int) -> _Span:
    """What gives a window along y (0) or x (1) of the resized image."""
    size, resized = params.image_size[axis], params.resized[axis]
    step = size / resized
    start, source_start = _aligned_start(begin, size, resized)
    # Two pixels more: the neighbour that the last one is mixed with, and a
    # size that OpenCV rounds down.
    stop = min(math.ceil((begin + length) * step) + 2, size)
    # As OpenCV rounds.
    total = round((stop - source_start) * (resized / size))
    return _Span(source_start, stop, total, begin - start)


def _aligned_start(begin: int, size: int, resized: int) -> tuple[int, int]:
    """Last output index before ``begin`` that starts at a source pixel.

    To ``_MAX_SHIFT``, and so that the neighbours of ``begin`` are inside.

    Returns:
        The index in the resized image and in the source.
    """
    step = size / resized
    last = begin - math.ceil(max(0.5 / step - 0.5, 0))
    # Less than half an output pixel, or the size would be rounded wrongly.
    allowed = min(_MAX_SHIFT, 0.4 * step)
    for start in range(last, 0, -1):
        place = start * step
        if abs(place - round(place)) <= allowed:
            return start, round(place)
    return 0, 0
