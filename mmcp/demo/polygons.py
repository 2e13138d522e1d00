"""Binary masks to COCO polygons that rasterise back to the same pixels.

Points are in COCO coordinates: pixel (x, y) covers [x, x + 1) x [y, y + 1).
"""

from collections import defaultdict
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
# A crack between two pixels: the corner (x, y) where it starts and the unit
# step (dx, dy) along it, with the foreground pixel on the right hand.
Crack = tuple[int, int, int, int]


def mask_to_polygons(mask: NDArray[Any]) -> list[list[float]]:
    """Trace a mask into one COCO polygon per connected part.

    The outline runs through the midpoints of the cracks between foreground
    and background pixels, so that diagonal borders come out straight and no
    pixel centre changes sides: pycocotools decodes exactly the mask again.
    COCO polygons have no holes; a hole is joined to its outline by a bridge
    of no width, which rasterisers cancel.

    Args:
        mask: Shape (H, W), bool or integer, non-zero is foreground.

    Returns:
        One flat list [x0, y0, x1, y1, ...] per 4-connected part, the largest
        part first; no list for an empty mask.

    Raises:
        ValueError: If the mask is not two-dimensional.

    Examples:
        >>> mask_to_polygons(np.array([[0, 0], [0, 1]]))
        [[1.5, 1.0, 2.0, 1.5, 1.5, 2.0, 1.0, 1.5]]
    """
    if mask.ndim != 2:
        raise ValueError(f'mask must be of shape (H, W), got {mask.shape}')
    foreground = mask != 0
    _, parts = cv2.connectedComponents(
        foreground.astype(np.uint8), connectivity=4, ltype=cv2.CV_32S
    )
    outlines: dict[int, Array] = {}
    holes: dict[int, list[Array]] = defaultdict(list)
    for loop in _loops(_cracks(foreground)):
        x, y = _pixel(loop[0])
        part = int(parts[y, x])
        points = _midpoints(loop)
        if _signed_area(points) > 0:
            outlines[part] = points
        else:
            holes[part].append(points)
    by_size = np.argsort(-np.bincount(parts.ravel())[1:], kind='stable') + 1
    polygons = []
    for part in by_size.tolist():
        outline = outlines[part]
        for hole in holes[part]:
            outline = _bridge(outline, hole)
        polygons.append(outline.ravel().tolist())
    return polygons


def _cracks(foreground: Mask) -> dict[Crack, None]:
    """All cracks, as an ordered set: a set's order depends on the run."""
    padded = np.pad(foreground, 1)
    sides = (  # step, where it starts on the pixel, the pixel beyond
        ((1, 0), (0, 0), padded[:-2, 1:-1]),
        ((0, 1), (1, 0), padded[1:-1, 2:]),
        ((-1, 0), (1, 1), padded[2:, 1:-1]),
        ((0, -1), (0, 1), padded[1:-1, :-2]),
    )
    return {
        (x + ox, y + oy, dx, dy): None
        for (dx, dy), (ox, oy), beyond in sides
        for y, x in np.argwhere(foreground & ~beyond).tolist()
    }


def _loops(cracks: dict[Crack, None]) -> list[list[Crack]]:
    """Closed walks along the cracks, each crack in exactly one."""
    loops = []
    rest = dict(cracks)
    while rest:
        crack = next(iter(rest))
        loop = []
        while crack in rest:
            del rest[crack]
            loop.append(crack)
            crack = _successor(crack, cracks)
        loops.append(loop)
    return loops


def _successor(crack: Crack, cracks: dict[Crack, None]) -> Crack:
    """The next crack; turns right first, to stay with the same pixel."""
    x, y, dx, dy = crack
    x, y = x + dx, y + dy
    right = (x, y, -dy, dx)
    straight = (x, y, dx, dy)
    left = (x, y, dy, -dx)
    return next(c for c in (right, straight, left) if c in cracks)


def _pixel(crack: Crack) -> tuple[int, int]:
    """The foreground pixel (x, y) on the right hand of a crack."""
    x, y, dx, dy = crack
    return x + min(dx - dy, 0), y + min(dx + dy, 0)


def _midpoints(loop: list[Crack]) -> Array:
    """Midpoints of the cracks, (N, 2); none inside a straight line."""
    x, y, dx, dy = np.array(loop, dtype=np.float64).T
    points = np.stack([x + dx / 2, y + dy / 2], axis=1)
    before = points - np.roll(points, 1, axis=0)
    after = np.roll(before, -1, axis=0)
    turn = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    kept: Array = points[turn != 0]
    return kept


def _signed_area(points: Array) -> float:
    """Shoelace area, positive where the inside is on the right hand."""
    x, y = points.T
    return float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) / 2


def _bridge(outline: Array, hole: Array) -> Array:
    """Splice a hole into an outline where the two are nearest."""
    gaps = ((outline[:, None] - hole[None]) ** 2).sum(-1)
    i, j = np.unravel_index(int(gaps.argmin()), gaps.shape)
    return np.concatenate(
        [outline[: i + 1], hole[j:], hole[: j + 1], outline[i:]]
    )
