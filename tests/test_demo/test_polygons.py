"""Polygons against pycocotools' rasteriser."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stnp
from pycocotools import mask as coco_mask

from mmcp.demo.polygons import mask_to_polygons


def decode(polygons, height, width):
    if not polygons:
        return np.zeros((height, width), dtype=np.uint8)
    return coco_mask.decode(
        coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))
    )


def test_square_has_four_cut_corners():
    mask = np.zeros((4, 4), dtype=np.uint8)
    mask[1:3, 1:3] = 1
    # fmt: off
    assert mask_to_polygons(mask) == [[
        1.5, 1.0, 2.5, 1.0, 3.0, 1.5, 3.0, 2.5,
        2.5, 3.0, 1.5, 3.0, 1.0, 2.5, 1.0, 1.5,
    ]]
    # fmt: on


def test_diagonal_pixels_are_two_parts():
    mask = np.eye(2, dtype=bool)
    assert mask_to_polygons(mask) == [
        [0.5, 0.0, 1.0, 0.5, 0.5, 1.0, 0.0, 0.5],
        [1.5, 1.0, 2.0, 1.5, 1.5, 2.0, 1.0, 1.5],
    ]


def test_hole_is_one_polygon_with_a_bridge():
    mask = np.ones((5, 6), dtype=np.uint8)
    mask[1:4, 1:3] = 0
    mask[2, 4] = 0
    polygons = mask_to_polygons(mask)
    assert len(polygons) == 1
    assert decode(polygons, 5, 6).tolist() == mask.tolist()


def test_larger_part_comes_first():
    mask = np.zeros((5, 9), dtype=bool)
    mask[0, 0] = mask[2:, 4:] = True
    sizes = [decode([p], 5, 9).sum() for p in mask_to_polygons(mask)]
    assert sizes == [15, 1]


def test_empty_mask_has_no_polygon():
    assert mask_to_polygons(np.zeros((3, 3))) == []


def test_stack_of_masks_is_refused():
    with pytest.raises(ValueError, match=r'\(H, W\)'):
        mask_to_polygons(np.zeros((1, 3, 3)))


@given(
    stnp.arrays(
        bool,
        stnp.array_shapes(min_dims=2, max_dims=2, max_side=24),
        elements=st.booleans(),
        fill=st.booleans(),
    )
)
def test_round_trip_is_exact(mask):
    polygons = mask_to_polygons(mask)
    height, width = mask.shape
    assert (decode(polygons, height, width) == mask).all()
    # COCO readers drop polygons of fewer than three points.
    assert all(len(polygon) >= 6 for polygon in polygons)


@given(st.integers(0, 2**32 - 1))
def test_round_trip_of_noise_is_exact(seed):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 50, 2).tolist()
    mask = rng.random((height, width)) < rng.random()
    assert (decode(mask_to_polygons(mask), height, width) == mask).all()
