"""Scale jitter: resize, crop, flip and pad as one step.

Large and standard scale jitter of `Simple Copy-Paste
<https://arxiv.org/abs/2012.07177>`_, section 3. The pixels are those of
MMDetection's RandomResize, RandomCrop, RandomFlip and Pad, in this order, but
only what survives the crop is ever resized.
Shapes: H W input image, h w window of the resized image that is kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mmcp.functional.patches import EMPTY, Patch, tighten
from mmcp.functional.polygons import clip_polygon

__all__ = [
    'JitterParams',
    'JitteredBoxes',
    'draw_jitter',
    'jitter_boxes',
    'jitter_homography',
    'jitter_image',
    'jitter_patch',
    'jitter_points',
    'jitter_polygon',
    'jitter_seg_map',
]

# How far, in source pixels, a resized window may lie beside its exact place.
# At 1/64 the mean gray level of a photograph changes by about 0.05.
_MAX_SHIFT = 1 / 64


@dataclass(frozen=True)
class JitterParams:
    """Everything random about one jitter, and what follows from it.

    Args:
        image_size: Size of the input image, (H, W).
        output: Size of the padded result, (height, width).
        ratio: Drawn size of the resized image relative to ``output``.
        offset: Drawn corner of the window in the resized image, (y, x).
        flip: Whether the window is mirrored left to right.
    """

    image_size: tuple[int, int]
    output: tuple[int, int]
    ratio: float
    offset: tuple[int, int] = (0, 0)
    flip: bool = False

    @cached_property
    def scale(self) -> tuple[int, int]:
        """The box that the resized image would fill, (height, width)."""
        height, width = self.output
        return (
            max(int(height * self.ratio), 1),
            max(int(width * self.ratio), 1),
        )

    @cached_property
    def resized(self) -> tuple[int, int]:
        """Size of the whole resized image, its aspect ratio kept."""
        # As mmcv.rescale_size: the longer side goes with the longer edge.
        long, short = max(self.scale), min(self.scale)
        height, width = self.image_size
        factor = min(long / max(height, width), short / min(height, width))
        return (
            max(int(height * factor + 0.5), 1),
            max(int(width * factor + 0.5), 1),
        )

    @cached_property
    def window(self) -> tuple[int, int]:
        """Size of what the crop keeps, (h, w)."""
        (rows, columns), (height, width) = self.resized, self.output
        return min(rows, height), min(columns, width)

    @cached_property
    def scale_factor(self) -> tuple[float, float]:
        """Output pixels per input pixel, (x, y)."""
        height, width = self.image_size
        return self.resized[1] / width, self.resized[0] / height

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """Input row of every window row by nearest neighbour, shape (h,)."""
        return _nearest(
            self.image_size[0], self.resized[0], self.offset[0], self.window[0]
        )

    @cached_property
    def columns(self) -> NDArray[np.int64]:
        """Input column of every window column before the flip, (w,)."""
        return _nearest(
            self.image_size[1], self.resized[1], self.offset[1], self.window[1]
        )


def _nearest(
    size: int, resized: int, offset: int, length: int
) -> NDArray[np.int64]:
    """The indices that cv2.INTER_NEAREST reads, to the last rounding."""
    step = 1 / (resized / size)
    places = np.arange(offset, offset + length) * step
    indices: NDArray[np.int64] = np.floor(places).astype(np.int64)
    return np.minimum(indices, size - 1, out=indices)


def draw_jitter(
    rng: np.random.Generator,
    image_size: tuple[int, int],
    output: tuple[int, int],
    ratio_range: tuple[float, float],
    flip_prob: float,
) -> JitterParams:
    """Draws a jitter, distributed as MMDetection's four transforms.

    Args:
        rng: Source of randomness.
        image_size: Size of the input image, (H, W).
        output: Size of the padded result, (height, width).
        ratio_range: Least and greatest size of the resized image relative to
            ``output``; (0.1, 2.0) is large, (0.8, 1.25) standard jitter.
        flip_prob: Probability of the flip.

    Returns:
        The drawn parameters.
    """
    ratio = float(rng.uniform(*ratio_range))
    free = JitterParams(image_size, output, ratio)
    margins = [r - w for r, w in zip(free.resized, free.window, strict=True)]
    y, x = (int(rng.integers(margin + 1)) for margin in margins)
    flip = bool(rng.random() < flip_prob)
    return JitterParams(image_size, output, ratio, (y, x), flip)


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
        A new C-contiguous image of size ``params.output``, same dtype.
    """
    canvas = np.empty((*params.output, *image.shape[2:]), image.dtype)
    height, width = params.window
    _resize_into(image, params, canvas[:height, :width])
    _fill_outside(canvas, params.window, pad_value)
    return canvas


def _resize_into(
    image: NDArray[Any], params: JitterParams, out: NDArray[Any]
) -> None:
    if image.ndim == 3 and image.shape[2] == 1:
        # OpenCV drops such an axis.
        image, out = image[..., 0], out[..., 0]
    if params.window == params.resized and not params.flip:
        cv2.resize(image, params.window[::-1], dst=out)
        return
    window = _resized_window(image, params)
    if params.flip:
        cv2.flip(window, 1, dst=out)
    else:
        np.copyto(out, window)


def _resized_window(image: NDArray[Any], params: JitterParams) -> NDArray[Any]:
    """The window of the resized image without resizing all of it.

    OpenCV's bilinear resize of a part of the image equals that part of the
    resized image if the part begins at the place of an output pixel's edge.
    """
    (y, source_y0, source_y1), (x, source_x0, source_x1) = (
        _span(params, axis) for axis in (0, 1)
    )
    part = image[source_y0:source_y1, source_x0:source_x1]
    fx, fy = params.scale_factor
    expected = round(part.shape[0] * fy), round(part.shape[1] * fx)
    resized: NDArray[Any]
    if part.shape[:2] in (params.image_size, expected):
        # OpenCV ignores the factors where they do not change the size.
        resized = cv2.resize(image, params.resized[::-1])
        y, x = params.offset
    else:
        # Without a size OpenCV takes the factors as they are.
        resized = cv2.resize(part, None, fx=fx, fy=fy)
    height, width = params.window
    return resized[y : y + height, x : x + width]


def _span(params: JitterParams, axis: int) -> tuple[int, int, int]:
    """Which part of the input gives the window, along y (0) or x (1).

    Returns:
        Where the window begins in the resized part, and the half-open range
        of the part in the input.
    """
    size, resized = params.image_size[axis], params.resized[axis]
    begin, length = params.offset[axis], params.window[axis]
    step = size / resized
    start, source_start = _aligned_start(begin, step)
    # Two pixels more: the neighbour that the last one is mixed with, and a
    # size that OpenCV rounds down.
    source_stop = min(int(np.ceil((begin + length) * step)) + 2, size)
    return begin - start, source_start, source_stop


def _aligned_start(begin: int, step: float) -> tuple[int, int]:
    """Last output index before ``begin`` that starts at a source pixel.

    To ``_MAX_SHIFT``, and so that the neighbours of ``begin`` are inside.

    Returns:
        The index in the resized image and in the source.
    """
    last = begin - int(np.ceil(max(0.5 / step - 0.5, 0)))
    if last <= 0:
        return 0, 0
    starts = np.arange(last + 1)
    places = starts * step
    # Less than half an output pixel, or the size would be rounded wrongly.
    allowed = min(_MAX_SHIFT, 0.4 * step)
    good = np.abs(places - np.rint(places)) <= allowed
    start = int(np.flatnonzero(good)[-1])
    return start, round(start * step)


def _fill_outside(
    canvas: NDArray[Any],
    window: tuple[int, int],
    value: float | Sequence[float],
) -> None:
    """Fills what lies below and right of the window, in place."""
    height, width = window
    total = canvas.shape[1]
    # One row repeated: broadcasting a pixel is a hundred times slower.
    row = np.empty((total, *canvas.shape[2:]), canvas.dtype)
    row[:] = value
    canvas[height:] = row
    lines = canvas.reshape(len(canvas), -1)
    start = width * (lines.shape[1] // total)
    lines[:height, start:] = row.reshape(-1)[start:]


def jitter_seg_map(
    seg_map: NDArray[Any], params: JitterParams, pad_value: int = 255
) -> NDArray[Any]:
    """Resizes, crops, flips and pads a map of labels by nearest neighbour.

    Args:
        seg_map: Labels of shape (H, W), any dtype.
        params: The jitter.
        pad_value: Label right of and below the image. Defaults to 255.

    Returns:
        A new map of size ``params.output``, same dtype.
    """
    canvas = np.empty(params.output, seg_map.dtype)
    height, width = params.window
    columns = params.columns[::-1] if params.flip else params.columns
    first, last = params.rows[0], params.rows[-1] + 1
    narrow = seg_map[first:last].take(columns, 1)
    canvas[:height, :width] = narrow.take(params.rows - first, 0)
    _fill_outside(canvas, params.window, pad_value)
    return canvas


class JitteredBoxes(NamedTuple):
    """Boxes after the jitter.

    Args:
        boxes: All M boxes in the output, shape (M, 4), ``xyxy``, float32.
        inside: Whether a box is not wholly outside of the window, shape
            (M,), bool.
        cut: Whether the crop cut some of it off, shape (M,), bool.
    """

    boxes: NDArray[np.float32]
    inside: NDArray[np.bool_]
    cut: NDArray[np.bool_]


def jitter_boxes(boxes: NDArray[Any], params: JitterParams) -> JitteredBoxes:
    """Moves boxes and clips them to the image and to the window.

    Args:
        boxes: Boxes of shape (M, 4), ``xyxy``, in pixels.
        params: The jitter.

    Returns:
        All M boxes, those outside too, and what happened to them.
    """
    height, width = params.window
    y, x = params.offset
    whole = boxes.astype(np.float32) * np.tile(
        np.array(params.scale_factor, np.float32), 2
    )
    _clip(whole, params.resized)
    whole -= np.array([x, y, x, y], np.float32)
    moved = whole.copy()
    _clip(moved, params.window)
    x0, y0, x1, y1 = moved.T
    inside = (x0 < width) & (y0 < height) & (x1 > 0) & (y1 > 0)
    cut = np.asarray((whole != moved).any(1))
    if params.flip:
        moved[:, 0::2] = width - moved[:, 2::-2]
    return JitteredBoxes(moved, inside, cut)


def _clip(boxes: NDArray[np.float32], size: tuple[int, int]) -> None:
    """Clips boxes to an image of ``size`` (height, width), in place."""
    np.clip(boxes[:, 0::2], 0, size[1], out=boxes[:, 0::2])
    np.clip(boxes[:, 1::2], 0, size[0], out=boxes[:, 1::2])


def jitter_points(
    points: NDArray[Any], params: JitterParams
) -> NDArray[np.float64]:
    """Moves points; they may land outside of the output.

    Args:
        points: Coordinates ``x, y`` in pixels, shape (..., 2); whole numbers
            are corners of pixels.
        params: The jitter.

    Returns:
        Coordinates in the output, same shape.
    """
    moved: NDArray[np.float64] = points * np.array(params.scale_factor)
    moved -= params.offset[::-1]
    if params.flip:
        moved[..., 0] = params.window[1] - moved[..., 0]
    return moved


def jitter_polygon(
    points: NDArray[Any], params: JitterParams
) -> NDArray[np.float64]:
    """Moves a polygon and keeps it out of the padding.

    Args:
        points: Vertices ``x, y`` in pixels, shape (V, 2).
        params: The jitter.

    Returns:
        Vertices in the output, shape (V', 2) with three at least. What lies
        beyond the output itself is left to the rasteriser.
    """
    moved = jitter_points(points, params)
    (height, width), (rows, columns) = params.window, params.output
    if width < columns:
        moved = clip_polygon(moved, 0, width)
    if height < rows:
        moved = clip_polygon(moved, 1, height)
    return moved


def jitter_patch(patch: Patch, params: JitterParams) -> Patch:
    """Moves a rasterised mask by nearest neighbour, inside its box.

    Args:
        patch: A patch inside the input image.
        params: The jitter.

    Returns:
        The tight patch in the output; the pixels are those of resizing,
        cropping and flipping the full-size mask with OpenCV.
    """
    x0, y0, x1, y1 = patch.extent
    top, bottom = np.searchsorted(params.rows, (y0, y1)).tolist()
    left, right = np.searchsorted(params.columns, (x0, x1)).tolist()
    if bottom <= top or right <= left:
        return EMPTY
    columns = params.columns[left:right] - x0
    if params.flip:
        columns = columns[::-1]
        left = params.window[1] - right
    rows = params.rows[top:bottom] - y0
    bitmap = patch.bitmap[rows[0] : rows[-1] + 1].take(columns, 1)
    return tighten(Patch(left, top, bitmap.take(rows - rows[0], 0)))


def jitter_homography(
    params: JitterParams, before: NDArray[Any] | None = None
) -> NDArray[np.float32]:
    """The matrix that takes input coordinates to output coordinates.

    Args:
        params: The jitter.
        before: Matrix of earlier steps, shape (3, 3). Defaults to None.

    Returns:
        The product, shape (3, 3), float32.
    """
    (x_scale, y_scale), (y, x) = params.scale_factor, params.offset
    matrix = np.array([[x_scale, 0, -x], [0, y_scale, -y], [0, 0, 1]])
    if params.flip:
        mirror = np.diag([-1.0, 1, 1])
        mirror[0, 2] = params.window[1]
        matrix = mirror @ matrix
    if before is not None:
        matrix = matrix @ before
    return matrix.astype(np.float32)
