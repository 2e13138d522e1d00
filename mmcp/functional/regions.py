"""Regions of a semantic label map that can be cut out and pasted.

Shapes: H W map, h w region.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mmcp.functional.patches import Patch, patch_from_bitmap

__all__ = ['Region', 'class_regions', 'component_regions', 'labels_in']

_NEIGHBOURS = 8


class Region(NamedTuple):
    """Pixels of one class.

    Args:
        label: Their value in the label map.
        patch: Where they are; the bitmap is tight.
        area: How many there are.
    """

    label: int
    patch: Patch
    area: int


def labels_in(seg_map: NDArray[Any]) -> list[int]:
    """Lists the labels of a map.

    Args:
        seg_map: Labels, shape (H, W), any integer type.

    Returns:
        The labels, ascending.

    Raises:
        ValueError: If the map has another number of axes than two.
        TypeError: If it is not of integers.
    """
    if seg_map.ndim != 2:
        raise ValueError(
            f'a label map has shape (H, W), but this one {seg_map.shape}'
        )
    if seg_map.dtype.kind not in 'iu':
        raise TypeError(
            f'a label map is of integers, but this one of {seg_map.dtype}'
        )
    found: list[int]
    if seg_map.dtype == np.uint8:
        # Several times faster than sorting them.
        found = np.flatnonzero(np.bincount(seg_map.ravel())).tolist()
    else:
        found = np.unique(seg_map).tolist()
    return found


def class_regions(
    seg_map: NDArray[Any], labels: Sequence[int], min_area: int = 1
) -> list[Region]:
    """Takes all pixels of a class as one region.

    With half of the classes it is what ClassMix pastes, Section 3.1 of
    https://arxiv.org/abs/2007.07936.

    Args:
        seg_map: Labels, shape (H, W), any integer type.
        labels: Labels to look at, without repetition.
        min_area: Fewest pixels of a region. Defaults to 1.

    Returns:
        The regions in the order of the labels; disjoint, together all pixels
        with these labels if ``min_area`` is 1.
    """
    regions = []
    for label in labels:
        patch = patch_from_bitmap(seg_map == label)
        area = patch.area
        if area >= max(min_area, 1):
            regions.append(Region(label, patch, area))
    return regions


def component_regions(
    seg_map: NDArray[Any], labels: Sequence[int], min_area: int = 1
) -> list[Region]:
    """Takes connected pixels of a class as a region.

    Pixels that meet at a corner are connected. Where objects of a class do
    not touch, a region is an object.

    Args:
        seg_map: Labels, shape (H, W), any integer type.
        labels: Labels to look at, without repetition.
        min_area: Fewest pixels of a region. Defaults to 1.

    Returns:
        The regions in the order of the labels; disjoint, together all pixels
        with these labels if ``min_area`` is 1.
    """
    return [
        Region(whole.label, part, area)
        for whole in class_regions(seg_map, labels, min_area)
        for part, area in _components(whole.patch, min_area)
    ]


def _components(patch: Patch, min_area: int) -> Iterator[tuple[Patch, int]]:
    """Yields the connected parts of a patch and their areas."""
    count, numbers, stats, _ = cv2.connectedComponentsWithStats(
        patch.bitmap, connectivity=_NEIGHBOURS
    )
    for number in range(1, count):
        x, y, width, height, area = stats[number].tolist()
        if area >= min_area:
            window = numbers[y : y + height, x : x + width]
            bitmap = (window == number).view(np.uint8)
            yield Patch(patch.x + x, patch.y + y, bitmap), area
