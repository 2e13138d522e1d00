"""Regions of a semantic label map that can be cut out and pasted.

Shapes: H W map, h w region.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mmcp.functional.patches import Patch, patch_from_bitmap

__all__ = ['Region', 'class_regions', 'component_regions']

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


def class_regions(
    seg_map: NDArray[Any], ignore_index: int = 255, min_area: int = 1
) -> list[Region]:
    """Takes all pixels of a class as one region.

    With half of the classes it is what ClassMix pastes, Section 3.1 of
    https://arxiv.org/abs/2007.07936.

    Args:
        seg_map: Labels, shape (H, W), any integer type.
        ignore_index: Label of no class. Defaults to 255.
        min_area: Fewest pixels of a region. Defaults to 1.

    Returns:
        The regions, by ascending label; disjoint, together all pixels that
        are not ignored if ``min_area`` is 1.

    Raises:
        ValueError: If the map has another number of axes than two.
        TypeError: If it is not of integers.
    """
    regions = []
    for label, patch in _classes(seg_map, ignore_index):
        area = patch.area
        if area >= min_area:
            regions.append(Region(label, patch, area))
    return regions


def component_regions(
    seg_map: NDArray[Any], ignore_index: int = 255, min_area: int = 1
) -> list[Region]:
    """Takes connected pixels of a class as a region.

    Pixels that meet at a corner are connected. Where objects of a class do
    not touch, a region is an object.

    Args:
        seg_map: Labels, shape (H, W), any integer type.
        ignore_index: Label of no class. Defaults to 255.
        min_area: Fewest pixels of a region. Defaults to 1.

    Returns:
        The regions, by ascending label; disjoint, together all pixels that
        are not ignored if ``min_area`` is 1.

    Raises:
        ValueError: If the map has another number of axes than two.
        TypeError: If it is not of integers.
    """
    return [
        Region(label, part, area)
        for label, patch in _classes(seg_map, ignore_index)
        for part, area in _components(patch, min_area)
    ]


def _classes(
    seg_map: NDArray[Any], ignore_index: int
) -> Iterator[tuple[int, Patch]]:
    """Yields the labels in the map, ascending, and their pixels."""
    if seg_map.ndim != 2:
        raise ValueError(
            f'a label map has shape (H, W), but this one {seg_map.shape}'
        )
    if seg_map.dtype.kind not in 'iu':
        raise TypeError(
            f'a label map is of integers, but this one of {seg_map.dtype}'
        )
    for label in _labels(seg_map):
        if label != ignore_index:
            yield label, patch_from_bitmap(seg_map == label)


def _labels(seg_map: NDArray[Any]) -> list[int]:
    found: list[int]
    if seg_map.dtype == np.uint8:
        # Several times faster than sorting them.
        found = np.flatnonzero(np.bincount(seg_map.ravel())).tolist()
    else:
        found = np.unique(seg_map).tolist()
    return found


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
