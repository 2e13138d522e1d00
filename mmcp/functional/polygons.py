"""Polygons of objects: which are sound, which may have no pixel, clipping.

A part is a closed polygon of shape (2 * vertices,), ``x0, y0, x1, y1, ...``
in pixels; an object has one part or more.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmcp.functional import native

__all__ = [
    'Outlines',
    'clip_parts',
    'clip_polygon',
    'measure_outlines',
    'sound_parts',
]

# pycocotools walks along every edge, so absurd coordinates would exhaust
# time and memory; this many image sizes beyond the border are absurd.
_FAR = 10


def sound_parts(
    parts: Sequence[Any], height: int, width: int
) -> list[NDArray[np.float64]]:
    """Takes the parts of one object that can be rasterised.

    Args:
        parts: Parts as annotated: sequences of numbers.
        height: Height of the image, H.
        width: Width of the image, W.

    Returns:
        Those with three vertices at least, an even number of coordinates,
        all of them finite and none absurdly far outside of the image, as new
        arrays of shape (2 * vertices,), float64; none if they all lie
        outside of the image.
    """
    limit = _FAR * max(height, width)
    if native.compiled is not None:
        found = native.compiled.sound_parts(parts, limit, height, width)
        if found is not None:
            return [np.frombuffer(part) for part in found]
    sound, seen = [], False
    for part in map(_as_numbers, parts):
        if part.size >= 6 and not part.size % 2:
            x, y = part[0::2], part[1::2]
            x0, x1, y0, y1 = x.min(), x.max(), y.min(), y.max()
            # A comparison with NaN is false.
            near = -limit <= x0 and -limit <= y0
            if near and x1 <= limit and y1 <= limit:
                sound.append(part)
                seen |= x0 < width and y0 < height and x1 > 0 and y1 > 0
    return sound if seen else []


def _as_numbers(part: Any) -> NDArray[np.float64]:
    try:
        return np.array(part, np.float64).reshape(-1)
    except (TypeError, ValueError, OverflowError):
        return np.zeros(0)


class Outlines(NamedTuple):
    """Where the outlines of M objects lie and how thick they are.

    Args:
        extents: Boxes, shape (M, 4), ``xyxy``; from infinity to minus
            infinity for an object without parts.
        thickness: Twice the area over the perimeter of the thickest part, in
            pixels, shape (M,); 0 for an object without parts. A long strip
            has its width. What is thinner than about a pixel may rasterise to
            nothing.
    """

    extents: NDArray[np.float64]
    thickness: NDArray[np.float64]

    def take(self, rows: Sequence[int]) -> 'Outlines':
        """Selects objects.

        Args:
            rows: Which ones.

        Returns:
            Their outlines.
        """
        index = np.array(rows, np.int64)
        return Outlines(self.extents[index], self.thickness[index])


def measure_outlines(
    objects: Sequence[Sequence[NDArray[np.float64]]],
) -> Outlines:
    """Measures the outlines of objects.

    Args:
        objects: Parts of each of M objects.

    Returns:
        Extents and thickness.
    """
    if native.compiled is not None:
        measures = np.array(
            [native.compiled.measure(parts) for parts in objects], np.float64
        ).reshape(-1, 5)
        return Outlines(measures[:, :4], measures[:, 4])
    extents = np.empty((len(objects), 4))
    extents[:, :2], extents[:, 2:] = np.inf, -np.inf
    thickness = np.zeros(len(objects))
    counts = np.array([len(parts) for parts in objects], np.int64)
    rows = np.flatnonzero(counts)
    if len(rows):
        parts = [part for parts in objects for part in parts]
        low, high, thick = _measure_parts(parts)
        firsts = (np.cumsum(counts) - counts)[rows]
        extents[rows, :2] = np.minimum.reduceat(low, firsts)
        extents[rows, 2:] = np.maximum.reduceat(high, firsts)
        thickness[rows] = np.maximum.reduceat(thick, firsts)
    return Outlines(extents, thickness)


def _measure_parts(
    parts: Sequence[NDArray[np.float64]],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Lowest and highest coordinates, shape (P, 2), and thickness, (P,)."""
    points = np.concatenate(parts).reshape(-1, 2)
    lengths = np.array([len(part) for part in parts]) // 2
    starts = np.cumsum(lengths) - lengths
    following = np.arange(1, len(points) + 1)
    following[starts + lengths - 1] = starts
    after = points[following]
    sides = np.hypot(*(after - points).T)
    doubled = points[:, 0] * after[:, 1] - after[:, 0] * points[:, 1]
    areas = np.abs(np.add.reduceat(doubled, starts))
    thickness = areas / np.maximum(np.add.reduceat(sides, starts), 1e-9)
    low = np.minimum.reduceat(points, starts)
    return low, np.maximum.reduceat(points, starts), thickness


def clip_parts(
    parts: list[NDArray[np.float64]], right: float, bottom: float
) -> list[NDArray[np.float64]]:
    """Cuts parts to what lies left of and above two lines.

    Args:
        parts: Each of shape (2 * vertices,).
        right: Largest x that is kept.
        bottom: Largest y that is kept.

    Returns:
        The parts, cut as by :func:`clip_polygon`; those that reach over no
        line are the same objects as before.
    """
    if native.compiled is None:
        return [_clip_part(part, right, bottom) for part in parts]
    return [
        np.frombuffer(part) if isinstance(part, bytearray) else part
        for part in native.compiled.clip(parts, right, bottom)
    ]


def _clip_part(
    part: NDArray[np.float64], right: float, bottom: float
) -> NDArray[np.float64]:
    points = part.reshape(-1, 2)
    cut = clip_polygon(clip_polygon(points, 0, right), 1, bottom)
    return part if cut is points else cut.reshape(-1)


def clip_polygon(
    points: NDArray[np.float64], axis: int, limit: float
) -> NDArray[np.float64]:
    """Cuts off what lies beyond a vertical or horizontal line.

    Args:
        points: Vertices ``x, y``, shape (V, 2).
        axis: 0 to keep ``x <= limit``, 1 to keep ``y <= limit``.
        limit: Where the line lies.

    Returns:
        Vertices of what is left; a polygon of no area on the line if that is
        nothing, so that there are always three vertices at least.
    """
    values = points[:, axis]
    beyond = values > limit
    if not beyond.any():
        return points
    following = np.roll(points, -1, 0)
    crossing = beyond != np.roll(beyond, -1)
    if not crossing.any():
        clamped = points.copy()
        clamped[:, axis] = limit
        return clamped
    span = np.where(crossing, following[:, axis] - values, 1)
    share = ((limit - values) / span)[:, None]
    crossings = points + share * (following - points)
    crossings[:, axis] = limit
    # Every vertex is followed by the crossing on the edge that it starts.
    both = np.stack([points, crossings], 1).reshape(-1, 2)
    kept = both[np.stack([~beyond, crossing], 1).reshape(-1)]
    return kept if len(kept) >= 3 else np.repeat(kept[:1], 3, 0)
