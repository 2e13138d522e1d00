"""Simple Copy-Paste on arrays and patches (https://arxiv.org/abs/2012.07177).

Nothing here draws a random number but :func:`draw_count` and
:func:`draw_selection`, and nothing changes its inputs.
Shapes: H W image, h w patch, M destination objects, K pasted objects.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mmcp.functional import native
from mmcp.functional.jittered_image import JitteredImage
from mmcp.functional.patches import Patch, boxes_of, patch_at, tighten

__all__ = [
    'Cut',
    'DropPolicy',
    'PastedImage',
    'covered',
    'cut_patches',
    'draw_count',
    'draw_selection',
    'meeting',
    'paste_image',
    'union_of',
    'update_boxes',
]

# What cv2.copyTo and cv2.GaussianBlur accept; numpy does the rest.
_CV2_DTYPES = ('uint8', 'int8', 'uint16', 'int16', 'int32', 'float32',
               'float64')  # fmt: skip

Window = tuple[int, int, int, int]


def draw_count(
    rng: np.random.Generator, low: int, high: int, candidates: int
) -> int:
    """Draws how many objects to paste, uniformly with both ends included.

    Args:
        rng: Source of randomness.
        low: Fewest objects.
        high: Most objects; it may exceed what there is.
        candidates: Number of objects that may be pasted.

    Returns:
        A number in ``[min(low, candidates), min(high, candidates)]``.
    """
    most = min(high, candidates)
    return int(rng.integers(min(low, most), most + 1))


def draw_selection(
    rng: np.random.Generator,
    weights: NDArray[np.float64],
    count: int,
) -> tuple[int, ...]:
    """Draws objects without replacement, in proportion to their weights.

    Args:
        rng: Source of randomness.
        weights: Weights of the candidates, shape (N,), not all equal to zero
            unless ``count`` is 0. A weight of zero excludes an object.
        count: How many to draw, at most the number of positive weights.

    Returns:
        Indices in ascending order.
    """
    if not count:
        return ()
    chance = weights / weights.sum()
    drawn = rng.choice(len(weights), size=count, replace=False, p=chance)
    return tuple(sorted(drawn.tolist()))


def union_of(patches: Sequence[Patch]) -> Patch:
    """Union U of several masks.

    Args:
        patches: K patches.

    Returns:
        Their union inside the smallest box that holds them all.
    """
    filled = [patch for patch in patches if patch.bitmap.size]
    if not filled:
        return Patch(0, 0, np.zeros((0, 0), np.uint8))
    lefts, tops, rights, bottoms = zip(
        *(patch.extent for patch in filled), strict=True
    )
    x0, y0, x1, y1 = min(lefts), min(tops), max(rights), max(bottoms)
    union = np.zeros((y1 - y0, x1 - x0), np.uint8)
    for patch in filled:
        left, top, right, bottom = patch.extent
        part = union[top - y0 : bottom - y0, left - x0 : right - x0]
        np.maximum(part, patch.bitmap, out=part)
    return Patch(x0, y0, union)


def paste_image(
    destination: NDArray[Any],
    source: NDArray[Any] | JitteredImage,
    patches: Sequence[Patch],
    blend_sigma: float = 0.0,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Copies the masked pixels of one image onto another.

    Without blending ``out = where(U, source, destination)`` exactly, U being
    the union of the masks. With blending U is smoothed by a Gaussian first,
    ``out = source * alpha + destination * (1 - alpha)`` (paper, section 3).
    Only windows around the pasted objects are touched.

    Args:
        destination: Image of shape (H, W) or (H, W, C), any dtype.
        source: Image with the same number of axes and channels; it may have
            another size, corners at the top left coincide. Of a jittered
            image only windows around the objects are made.
        patches: Masks of the objects to paste, inside both images.
        blend_sigma: Standard deviation of the Gaussian in pixels; 0 switches
            blending off. Defaults to 0.0.
        out: C-contiguous image to write to, of the destination's shape and
            dtype; it may be the destination. Defaults to None, meaning a new
            one.

    Returns:
        ``out``, or a new C-contiguous image of the destination's shape and
        dtype.

    Raises:
        ValueError: If the images differ in their channels.
        TypeError: If the source's dtype does not fit into the destination's.
    """
    _check_images(destination, source)
    if out is None:
        out = np.array(destination, order='C')
    elif out is not destination:
        np.copyto(out, destination)
    filled = [patch for patch in patches if patch.bitmap.size]
    if sum(patch.bitmap.size for patch in filled) > np.prod(out.shape[:2]):
        # Windows that overlap much would cost more than the whole image.
        source = np.asarray(source)
    if blend_sigma > 0:
        radius = int(np.ceil(3 * blend_sigma))
        limits = tuple(map(min, out.shape[:2], source.shape[:2]))
        for window in _blend_windows(filled, radius, limits):
            _blend(out, source, filled, window, radius, blend_sigma)
        return out
    for patch in filled:
        x0, y0, x1, y1 = patch.extent
        _copy_where(source[y0:y1, x0:x1], patch.bitmap, out[y0:y1, x0:x1])
    return out


class PastedImage:
    """What :func:`paste_image` gives, made when it is looked at.

    ``np.asarray`` makes the pixels, anew at every call. A destination that is
    a jittered image becomes pixels then, too.

    Args:
        destination: Image of shape (H, W) or (H, W, C).
        source: Image to copy from, as in :func:`paste_image`.
        patches: Masks of the objects to paste.
        blend_sigma: As in :func:`paste_image`. Defaults to 0.0.
    """

    def __init__(
        self,
        destination: NDArray[Any] | JitteredImage,
        source: NDArray[Any] | JitteredImage,
        patches: Sequence[Patch],
        blend_sigma: float = 0.0,
    ) -> None:
        self.shape = destination.shape
        self._destination = destination
        self._rest = source, patches, blend_sigma

    def __array__(
        self, dtype: Any = None, copy: bool | None = None
    ) -> NDArray[Any]:
        """The pixels, a new array at every call."""
        if isinstance(self._destination, JitteredImage):
            fresh = np.asarray(self._destination)
            out = paste_image(fresh, *self._rest, out=fresh)
        else:
            out = paste_image(self._destination, *self._rest)
        return out if dtype is None else out.astype(dtype, copy=False)


def _check_images(
    destination: NDArray[Any], source: NDArray[Any] | JitteredImage
) -> None:
    if destination.shape[2:] != source.shape[2:]:
        raise ValueError(
            'source and destination need the same channels, but their shapes '
            f'are {source.shape} and {destination.shape}'
        )
    floats = all(a.dtype.kind == 'f' for a in (source, destination))
    if not floats and not np.can_cast(source.dtype, destination.dtype):
        raise TypeError(
            f'cannot paste a {source.dtype} image onto a {destination.dtype} '
            'image; load both with the same settings (to_float32)'
        )


def _copy_where(
    source: NDArray[Any], mask: NDArray[np.uint8], out: NDArray[Any]
) -> None:
    """Copies the pixels under ``mask`` into the view ``out``."""
    if out.dtype.name in _CV2_DTYPES:
        cv2.copyTo(source.astype(out.dtype, copy=False), mask, out)
    else:
        where = mask.astype(bool).reshape(mask.shape + (1,) * (out.ndim - 2))
        np.copyto(out, source, casting='same_kind', where=where)


def _blend_windows(
    patches: Sequence[Patch], radius: int, limits: tuple[int, ...]
) -> list[Window]:
    """Disjoint windows outside of which the smoothed union is zero."""
    height, width = limits
    windows: list[Window] = []
    for patch in patches:
        x0, y0, x1, y1 = patch.extent
        window = (x0 - radius, y0 - radius, x1 + radius, y1 + radius)
        windows = _merge_window(windows, window)
    return [
        (max(x0, 0), max(y0, 0), min(x1, width), min(y1, height))
        for x0, y0, x1, y1 in windows
    ]


def _merge_window(windows: list[Window], window: Window) -> list[Window]:
    """Adds a window to disjoint ones, joining those that it meets."""
    touching = [other for other in windows if _intersect(other, window)]
    if not touching:
        return [*windows, window]
    lefts, tops, rights, bottoms = zip(window, *touching, strict=True)
    joined = (min(lefts), min(tops), max(rights), max(bottoms))
    apart = [other for other in windows if other not in touching]
    return _merge_window(apart, joined)


def _intersect(a: Window, b: Window) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _blend(
    out: NDArray[Any],
    source: NDArray[Any] | JitteredImage,
    patches: Sequence[Patch],
    window: Window,
    radius: int,
    sigma: float,
) -> None:
    """Blends the objects of one window into ``out``, in place."""
    x0, y0, x1, y1 = window
    alpha = np.zeros((y1 - y0, x1 - x0), np.float32)
    for patch in patches:
        if _intersect(patch.extent, window):
            left, top, right, bottom = patch.extent
            part = alpha[top - y0 : bottom - y0, left - x0 : right - x0]
            part[patch.bitmap != 0] = 1
    size = 2 * radius + 1
    # An object cut by the image border goes on behind it: replicate.
    alpha = cv2.GaussianBlur(
        alpha, (size, size), sigma, borderType=cv2.BORDER_REPLICATE
    )
    alpha = alpha.reshape(alpha.shape + (1,) * (out.ndim - 2))
    below = out[y0:y1, x0:x1]
    mixed = source[y0:y1, x0:x1] * alpha + below * (1 - alpha)
    if np.issubdtype(out.dtype, np.integer):
        mixed = np.rint(mixed)
    below[...] = mixed.astype(out.dtype)


class Cut(NamedTuple):
    """Destination masks after the pasted objects were laid over them.

    Args:
        patches: M tight patches of what is still visible.
        lost: Whether a mask lost pixels, shape (M,), bool.
        area: Visible pixels, shape (M,), int64; of the objects that lost
            none it is -1, since nobody needs to count them.
        area_before: Pixels before, likewise.
    """

    patches: list[Patch]
    lost: NDArray[np.bool_]
    area: NDArray[np.int64]
    area_before: NDArray[np.int64]


def cut_patches(patches: Sequence[Patch], union: Patch) -> Cut:
    """Removes the pasted pixels from the destination's masks.

    Args:
        patches: M patches of the destination's objects.
        union: Union U of the pasted masks.

    Returns:
        The cut masks; a mask that lost nothing is the same object as before.
    """
    result = list(patches)
    lost = np.zeros(len(result), bool)
    area = np.full(len(result), -1, np.int64)
    area_before = area.copy()
    cut = _cut if native.compiled is None else _cut_compiled
    for index, patch in enumerate(patches):
        left = cut(patch, union)
        if left is not None:
            lost[index] = True
            result[index], area_before[index], area[index] = left
    return Cut(result, lost, area, area_before)


def meeting(windows: NDArray[np.int64], window: Window) -> NDArray[np.int64]:
    """Finds the windows that share a pixel with one.

    Args:
        windows: Half-open ranges ``x0, y0, x1, y1``, shape (M, 4), int64.
        window: One such range.

    Returns:
        Rows of those that do, in ascending order.
    """
    x0, y0, x1, y1 = window
    meets = (windows[:, 0] < x1) & (windows[:, 2] > x0)
    meets &= (windows[:, 1] < y1) & (windows[:, 3] > y0)
    return np.flatnonzero(meets)


def _cut(patch: Patch, union: Patch) -> tuple[Patch, int, int] | None:
    """What is left of a patch below ``union``; None if nothing is hidden.

    Returns:
        The rest, and the areas before and after.
    """
    x0, y0, x1, y1 = _common(patch.extent, union.extent)
    if x1 <= x0 or y1 <= y0:
        return None
    ux, uy = union.x, union.y
    over = union.bitmap[y0 - uy : y1 - uy, x0 - ux : x1 - ux]
    px, py = patch.x, patch.y
    under = patch.bitmap[y0 - py : y1 - py, x0 - px : x1 - px]
    hidden = over != 0
    # Not cv2's binary operations: through Python they cost milliseconds.
    if not np.any(under * hidden):
        return None
    bitmap = patch.bitmap.copy()
    bitmap[y0 - py : y1 - py, x0 - px : x1 - px] *= ~hidden
    rest = tighten(patch._replace(bitmap=bitmap))
    return rest, patch.area, rest.area


def _cut_compiled(patch: Patch, union: Patch) -> tuple[Patch, int, int] | None:
    """The same by compiled code, which takes rows of adjacent pixels."""
    if not (_has_plain_rows(patch) and _has_plain_rows(union)):
        return _cut(patch, union)
    left = native.compiled.cut(
        patch.bitmap, patch.x, patch.y, union.bitmap, union.x, union.y
    )
    if left is None:
        return None
    before, after, rest = left
    return patch_at(*rest), before, after


def _has_plain_rows(patch: Patch) -> bool:
    return patch.bitmap.strides[1] == 1


def _common(a: Window, b: Window) -> Window:
    """The part that two windows share."""
    x0, y0 = max(a[0], b[0]), max(a[1], b[1])
    return x0, y0, min(a[2], b[2]), min(a[3], b[3])


def covered(points: NDArray[Any], union: Patch) -> NDArray[np.bool_]:
    """Whether points lie under the pasted objects.

    Args:
        points: Coordinates ``x, y`` in pixels, shape (..., 2); a point
            belongs to the pixel it falls into.
        union: Union U of the pasted masks.

    Returns:
        One flag a point, shape (...), bool.
    """
    height, width = union.bitmap.shape
    cells = np.floor(points).astype(np.int64) - (union.x, union.y)
    inside = (cells >= 0).all(-1) & (cells < (width, height)).all(-1)
    flags = np.zeros(cells.shape[:-1], bool)
    x, y = cells[inside].T
    flags[inside] = union.bitmap[y, x] != 0
    return flags


def update_boxes(
    boxes: NDArray[np.float32],
    cut: Cut,
    mode: str,
    threshold: float = 10.0,
) -> NDArray[np.float32]:
    """Moves boxes to what is still visible of their objects.

    Args:
        boxes: Boxes of shape (M, 4), ``xyxy``, in pixels.
        cut: The masks after pasting.
        mode: ``'if_changed'``: boxes of masks that lost pixels become tight.
            ``'always'``: all become tight (MMDetection). ``'threshold'``:
            as ``'if_changed'``, but only coordinates that move by more than
            ``threshold`` (the paper's released code).
        threshold: In pixels. Defaults to 10.0.

    Returns:
        New boxes of shape (M, 4), float32.
    """
    tight = boxes_of(cut.patches)
    if mode == 'always':
        return tight
    changed = np.broadcast_to(cut.lost[:, None], boxes.shape)
    if mode == 'threshold':
        changed = changed & (np.abs(tight - boxes) > threshold)
    return np.where(changed, tight, boxes).astype(np.float32)


@dataclass(frozen=True)
class DropPolicy:
    """Which partly hidden objects are taken out. None by default.

    An object that lost pixels is kept if it passes every criterion given
    here; one without any visible pixel is never kept.

    Args:
        max_shift: With ``min_area``, MMDetection's rule: keep an object if no
            box coordinate moved by more than this, in pixels, ...
        area_over: ... or if more than this many pixels are visible.
        min_visible_ratio: Visible share of the pixels before pasting.
        min_area: Fewest visible pixels.
    """

    max_shift: float | None = None
    area_over: float | None = None
    min_visible_ratio: float = 0.0
    min_area: int = 1

    def keeps(self, boxes: NDArray[np.float32], cut: Cut) -> NDArray[np.bool_]:
        """Says which objects stay.

        Args:
            boxes: Boxes before pasting, shape (M, 4), ``xyxy``.
            cut: The masks after pasting.

        Returns:
            Flags of shape (M,), bool.
        """
        good = cut.area >= self.min_area
        good &= cut.area >= self.min_visible_ratio * cut.area_before
        if self.max_shift is not None and self.area_over is not None:
            shift = np.abs(boxes_of(cut.patches) - boxes).max(1, initial=0)
            good &= (shift <= self.max_shift) | (cut.area > self.area_over)
        return good | ~cut.lost
