"""Polygons of objects: which are sound, which may have no pixel, clipping.

A part is a closed polygon of shape (2 * vertices,), ``x0, y0, x1, y1, ...``
in pixels; an object has one part or more.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ['clip_polygon', 'extents_of', 'mean_thickness', 'sound_parts']

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
    sound, seen = [], False
    for part in map(_as_numbers, parts):
        if part.size >= 6 and not part.size % 2:
            points = part.reshape(-1, 2)
            low, high = points.min(0), points.max(0)
            # A comparison with NaN is false.
            if low.min() >= -limit and high.max() <= limit:
                sound.append(part)
                inside = (low < (width, height)) & (high > 0)
                seen |= bool(inside.all())
    return sound if seen else []


def _as_numbers(part: Any) -> NDArray[np.float64]:
    try:
        return np.array(part, np.float64).reshape(-1)
    except (TypeError, ValueError):
        return np.zeros(0)


def extents_of(
    objects: Sequence[Sequence[NDArray[np.float64]]],
) -> NDArray[np.float64]:
    """Boxes of the outlines of M objects.

    Args:
        objects: Parts of each object.

    Returns:
        Shape (M, 4), ``xyxy``; an object without parts has a box from
        infinity to minus infinity.
    """
    extents = np.empty((len(objects), 4))
    extents[:, :2], extents[:, 2:] = np.inf, -np.inf
    filled = [row for row, parts in enumerate(objects) if len(parts)]
    if filled:
        outlines = [np.concatenate(objects[row]) for row in filled]
        lengths = np.array([len(outline) // 2 for outline in outlines])
        starts = np.cumsum(lengths) - lengths
        points = np.concatenate(outlines).reshape(-1, 2)
        extents[filled, :2] = np.minimum.reduceat(points, starts)
        extents[filled, 2:] = np.maximum.reduceat(points, starts)
    return extents


def mean_thickness(
    objects: Sequence[Sequence[NDArray[np.float64]]],
) -> NDArray[np.float64]:
    """Twice the area over the perimeter, of the thickest part.

    A long strip has its width. What is thinner than about a pixel may
    rasterise to nothing.

    Args:
        objects: Parts of each of M objects.

    Returns:
        Thickness in pixels, shape (M,); 0 for an object without parts.
    """
    flat = [part.reshape(-1, 2) for parts in objects for part in parts]
    thickness = np.zeros(len(objects))
    if flat:
        counts = [len(parts) for parts in objects]
        owners = np.repeat(np.arange(len(objects)), counts)
        np.maximum.at(thickness, owners, _thickness_of_parts(flat))
    return thickness


def _thickness_of_parts(
    parts: Sequence[NDArray[np.float64]],
) -> NDArray[np.float64]:
    lengths = np.array([len(part) for part in parts])
    starts = np.cumsum(lengths) - lengths
    points = np.concatenate(parts)
    following = np.arange(1, len(points) + 1)
    following[starts + lengths - 1] = starts
    (x, y), (next_x, next_y) = points.T, points[following].T
    areas = np.add.reduceat(x * next_y - next_x * y, starts)
    edges = np.hypot(next_x - x, next_y - y)
    perimeters = np.add.reduceat(edges, starts)
    # ``areas`` holds twice the area.
    thickness: NDArray[np.float64] = np.abs(areas) / np.maximum(
        perimeters, 1e-9
    )
    return thickness


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
