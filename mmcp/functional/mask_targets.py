"""Mask-head targets cut out of patches, equal to RoIAlign on whole masks.

RoIAlign with bilinear samples is separable: ``target = Y @ mask @ X.T`` with
one weight matrix per axis, in which averaging over the samples, replication
at the image border and zeros beyond it are contained. Only the columns of Y
and X that meet the patch matter, so neither a mask of the image's size nor a
ring of zeros around the patch is ever made.

The matrices are multiplied in float32, in whatever order BLAS likes. Where
that leaves open on which side of the threshold a target lies, the target is
summed again in the order of mmcv's kernel, so binary targets agree bit by
bit with ``mmcv.ops.roi_align`` on the CPU (x86-64), ties included.

Shapes: B boxes, H W image, h w patch, p q target.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mmcp.functional import native
from mmcp.functional.patches import Patch

__all__ = ['crop_and_resize_patches']

_THRESHOLD = 0.5
# Rounding unit of float32, in which the matrices are multiplied.
_UNIT = 2.0**-24
# Bounds the weight matrices to 15 MB an axis at 28 rows and 1024 pixels.
_BOXES_AT_ONCE = 128
# Rows of a mask that BLAS multiplies at once.
_BAND = 96


def crop_and_resize_patches(
    patches: Sequence[Patch],
    boxes: NDArray[Any],
    rows: NDArray[np.integer[Any]],
    out_shape: tuple[int, int],
    height: int,
    width: int,
    binarize: bool = True,
) -> NDArray[Any]:
    """Cuts boxes out of instance masks and resizes them with RoIAlign.

    The values are those of RoIAlign with ``aligned=True`` and an adaptive
    number of samples (https://arxiv.org/abs/1703.06870), on masks that are
    0 or 1.

    Args:
        patches: M masks.
        boxes: Boxes of shape (B, 4), ``xyxy``, float32 or float64, which is
            then the precision of the sampling points. They may reach over
            the image's border.
        rows: For each box its mask in ``patches``, shape (B,).
        out_shape: Height and width of the targets, (p, q).
        height: Height of the image, H.
        width: Width of the image, W.
        binarize: Whether to return ``value >= 0.5``. Defaults to True.

    Returns:
        Targets of shape (B, p, q), bool; of the boxes' dtype if not
        ``binarize``.

    Raises:
        ValueError: If a box has a negative width or height or is not finite.
    """
    dtype = np.bool_ if binarize else boxes.dtype
    out = np.empty((len(boxes), *out_shape), dtype)
    order = np.argsort(rows, kind='stable')
    for start in range(0, len(order), _BOXES_AT_ONCE):
        part = order[start : start + _BOXES_AT_ONCE]
        y = _sample(boxes[part, 1], boxes[part, 3], out_shape[0], height)
        x = _sample(boxes[part, 0], boxes[part, 2], out_shape[1], width)
        soft = _targets(patches, rows[part], y, x)
        out[part] = soft
        if binarize:
            out[part] = _binarize(soft, patches, rows[part], y, x)
    return out


class _Samples(NamedTuple):
    """Where RoIAlign samples along one axis, for B boxes.

    The ``grid[b]`` samples of bin ``i`` of box ``b`` stand at
    ``first[b] + i * grid[b]`` in the flat arrays.

    Args:
        bins: Bins a box.
        grid: Samples a bin, shape (B,).
        first: Index of each box' first sample, shape (B,).
        box: Box of each sample.
        cell: Bin of each sample.
        low: Pixel at or before each sample.
        high: Pixel after it, or the same one at the border.
        weight_low: Weight of ``low``, 0 for samples beyond the border.
        weight_high: Weight of ``high``.
    """

    bins: int
    grid: NDArray[np.int64]
    first: NDArray[np.int64]
    box: NDArray[np.int64]
    cell: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    weight_low: NDArray[Any]
    weight_high: NDArray[Any]


def _sample(
    low: NDArray[Any], high: NDArray[Any], bins: int, length: int
) -> _Samples:
    """Places the samples; every rounding is that of mmcv's kernel."""
    real = low.dtype.type
    start = low - real(0.5)
    extent = (high - real(0.5)) - start
    if not ((extent >= 0) & np.isfinite(extent)).all():
        raise ValueError(
            'boxes must be finite and have x1 <= x2 and y1 <= y2, but one '
            'has not; clip and filter proposals before computing targets'
        )
    size = extent / real(bins)
    grid = np.ceil(size.astype(np.float32)).astype(np.int64)
    count = grid * bins
    first = np.cumsum(count) - count
    box = np.repeat(np.arange(len(low)), count)
    index = np.arange(count.sum()) - first[box]
    samples = grid[box]
    cell = index // samples
    step = (index - cell * samples).astype(low.dtype) + real(0.5)
    size = size[box]
    position = start[box] + cell.astype(low.dtype) * size
    position += step * size / samples.astype(low.dtype)
    return _Samples(
        bins, grid, first, box, cell, *_neighbours(position, length)
    )


def _neighbours(position: NDArray[Any], length: int) -> tuple[Any, ...]:
    """The two pixels around each sample, and their weights."""
    inside = (position >= -1) & (position <= length)
    position = np.clip(position, 0, length - 1)
    low = position.astype(np.int64)
    high = np.minimum(low + 1, length - 1)
    fraction = position - low.astype(position.dtype)
    rest = (1.0 - fraction.astype(np.float64)).astype(position.dtype)
    return low, high, rest * inside, fraction * inside


def _matrices(
    samples: _Samples, origin: NDArray[np.int64], length: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Weight matrices of one axis, restricted to the patches.

    Args:
        samples: Samples of B boxes.
        origin: First pixel of each box' patch, shape (B,).
        length: Pixels of each box' patch, shape (B,).

    Returns:
        All matrices, each (bins, length[b]), one after the other in one flat
        array, and where each begins, shape (B + 1,).
    """
    box = samples.box
    ends = np.cumsum(samples.bins * length)
    begin = np.concatenate([[0], ends])
    offset, pixels = origin[box], length[box]
    cell = begin[box] + samples.cell * pixels
    scale = (1 / samples.grid.clip(1)).astype(np.float32)[box]
    matrices = np.zeros(begin[-1], np.float32)
    for pixel, weight in (
        (samples.low, samples.weight_low),
        (samples.high, samples.weight_high),
    ):
        column = pixel - offset
        use = np.flatnonzero((column >= 0) & (column < pixels))
        value = weight[use].astype(np.float32) * scale[use]
        np.add.at(matrices, (cell + column)[use], value)
    return matrices, begin


def _targets(
    patches: Sequence[Patch],
    rows: NDArray[np.integer[Any]],
    y: _Samples,
    x: _Samples,
) -> NDArray[np.float32]:
    """Soft targets of boxes that are sorted by their masks."""
    extents = np.array([patches[row].extent for row in rows], np.int64)
    x0, y0, x1, y1 = extents.reshape(-1, 4).T
    across, across_begin = _matrices(x, x0, x1 - x0)
    down, down_begin = _matrices(y, y0, y1 - y0)
    soft = np.zeros((len(rows), y.bins, x.bins), np.float32)
    changes = np.flatnonzero(np.diff(rows)) + 1
    ends = [*changes.tolist(), len(rows)]
    resample = _resample if native.compiled is None else _resample_compiled
    for a, b in zip([0, *ends], ends, strict=False):
        mask = patches[rows[a]].bitmap
        if mask.size:
            left = down[down_begin[a] : down_begin[b]]
            right = across[across_begin[a] : across_begin[b]]
            resample(
                left.reshape(b - a, -1, mask.shape[0]),
                mask,
                right.reshape(b - a, -1, mask.shape[1]),
                soft[a:b],
            )
    return soft


def _resample(
    left: NDArray[np.float32],
    mask: NDArray[np.uint8],
    right: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """``left @ mask @ right.T`` for each box of one mask.

    Args:
        left: Shape (B, p, h).
        mask: Shape (h, w).
        right: Shape (B, q, w).
        out: Written to, shape (B, p, q).
    """
    count, _, h = left.shape
    strips = _multiply(left.reshape(-1, h), mask)
    strips = strips.reshape(count, -1, mask.shape[1])
    np.matmul(strips, right.transpose(0, 2, 1), out=out)


def _resample_compiled(
    left: NDArray[np.float32],
    mask: NDArray[np.uint8],
    right: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """The same by compiled code, which passes over all zeros.

    And it starts no threads: those of BLAS wait for each other where loaders
    keep all cores busy.
    """
    if mask.strides[1] != 1:
        mask = np.ascontiguousarray(mask)
    for down, across, target in zip(left, right, out, strict=True):
        native.compiled.resample(down, across, mask, target)


def _multiply(
    left: NDArray[np.float32], mask: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """``left @ mask``; passes over most of the zeros of a banded matrix."""
    if len(mask) <= _BAND:
        return np.asarray(left @ mask.astype(np.float32))
    out = np.zeros((len(left), mask.shape[1]), np.float32)
    for start in range(0, len(mask), _BAND):
        part = left[:, start : start + _BAND]
        used = np.flatnonzero(part.any(1))
        band = mask[start : start + _BAND].astype(np.float32)
        out[used] += part[used] @ band
    return out


def _binarize(
    soft: NDArray[np.float32],
    patches: Sequence[Patch],
    rows: NDArray[np.integer[Any]],
    y: _Samples,
    x: _Samples,
) -> NDArray[np.bool_]:
    """Thresholds; sums again, in the kernel's order, what is too close."""
    shapes = np.array([sum(patches[row].bitmap.shape) for row in rows])
    # Bounds the rounding of both sums: theirs of all samples, ours of a row
    # and a column of the patch, and of the weights.
    doubt = (y.grid * x.grid + shapes + 16) * _UNIT
    near = np.abs(soft - _THRESHOLD) <= doubt[:, None, None]
    out = soft >= _THRESHOLD
    for box in np.flatnonzero(near.any((1, 2))).tolist():
        i, j = np.nonzero(near[box])
        value = _sum_as_kernel(patches[rows[box]], box, i, j, y, x)
        out[box, i, j] = value >= _THRESHOLD
    return out


def _sum_as_kernel(
    patch: Patch,
    box: int,
    i: NDArray[np.int64],
    j: NDArray[np.int64],
    y: _Samples,
    x: _Samples,
) -> NDArray[Any]:
    """Targets (i, j) of one box, rounded exactly as mmcv's kernel does."""
    mask = cv2.copyMakeBorder(patch.bitmap, 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    y_at = (y.first[box] + i * y.grid[box])[:, None] + np.arange(y.grid[box])
    x_at = (x.first[box] + j * x.grid[box])[:, None] + np.arange(x.grid[box])
    top, bottom = (
        np.clip(pixel[y_at] - patch.y + 1, 0, mask.shape[0] - 1)[:, :, None]
        for pixel in (y.low, y.high)
    )
    left, right = (
        np.clip(pixel[x_at] - patch.x + 1, 0, mask.shape[1] - 1)[:, None, :]
        for pixel in (x.low, x.high)
    )
    hy, ly = y.weight_low[y_at][:, :, None], y.weight_high[y_at][:, :, None]
    hx, lx = x.weight_low[x_at][:, None, :], x.weight_high[x_at][:, None, :]
    value = hy * hx * mask[top, left]
    value += hy * lx * mask[top, right]
    value += ly * hx * mask[bottom, left]
    value += ly * lx * mask[bottom, right]
    # cumsum adds one by one; sum would add in pairs.
    total = np.cumsum(value.reshape(len(i), -1), axis=1)[:, -1]
    return np.asarray(total / total.dtype.type(y.grid[box] * x.grid[box]))
