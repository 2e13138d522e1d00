"""Scale jitter: resize, crop, flip and pad as one step.

Large and standard scale jitter of `Simple Copy-Paste
<https://arxiv.org/abs/2012.07177>`_, section 3, of everything but the image,
which :mod:`mmcp.functional.jittered_image` moves.
Shapes: H W input image, h w window of the resized image that is kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmcp.functional import native
from mmcp.functional.patches import EMPTY, Patch, tighten

__all__ = [
    'JitterParams',
    'JitteredBoxes',
    'draw_jitter',
    'fill_outside',
    'jitter_boxes',
    'jitter_homography',
    'jitter_patch',
    'jitter_points',
    'jitter_seg_map',
]


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


def fill_outside(
    canvas: NDArray[Any],
    window: tuple[int, int],
    value: float | Sequence[float],
) -> None:
    """Fills what lies below and right of a window.

    Args:
        canvas: Contiguous array of shape (H, W) or (H, W, C), changed in
            place.
        window: Height and width of the window, which begins at the top left.
        value: One number or one a channel.
    """
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
    fill_outside(canvas, params.window, pad_value)
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
    if native.compiled is not None:
        return _jitter_boxes_compiled(boxes, params)
    y, x = params.offset
    whole: NDArray[np.float32] = boxes.astype(np.float32)
    whole *= np.array(params.scale_factor * 2, np.float32)
    whole = _clip(whole, params.resized)
    whole -= np.array([x, y, x, y], np.float32)
    moved = _clip(whole, params.window)
    # A side at the border or beyond was clipped to it.
    far = (moved[:, :2] >= params.window[::-1]) | (moved[:, 2:] <= 0)
    inside = np.asarray(~far.any(1))
    cut = np.asarray((whole != moved).any(1))
    if params.flip:
        moved[:, 0::2] = params.window[1] - moved[:, 2::-2]
    return JitteredBoxes(moved, inside, cut)


def _jitter_boxes_compiled(
    boxes: NDArray[Any], params: JitterParams
) -> JitteredBoxes:
    """The same by compiled code."""
    moved = np.array(boxes, np.float32, order='C')
    inside, cut = np.empty((2, len(moved)), bool)
    native.compiled.jitter_boxes(
        moved,
        inside,
        cut,
        params.scale_factor,
        params.resized[::-1],
        params.offset[::-1],
        params.window[::-1],
        params.flip,
    )
    return JitteredBoxes(moved, inside, cut)


def _clip(
    boxes: NDArray[np.float32], size: tuple[int, int]
) -> NDArray[np.float32]:
    """Clips boxes to an image of ``size`` (height, width)."""
    most = np.array(size[::-1] * 2, np.float32)
    clipped: NDArray[np.float32] = np.minimum(np.maximum(boxes, 0), most)
    return clipped


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
    left = -x
    if params.flip:
        x_scale, left = -x_scale, params.window[1] + x
    matrix = np.array([[x_scale, 0, left], [0, y_scale, -y], [0, 0, 1]])
    if before is not None:
        matrix = matrix @ before
    return matrix.astype(np.float32)
