"""Tests of regions of label maps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from mmcp.functional import regions
from mmcp.functional.patches import write_patch
from mmcp.functional.regions import labels_in

MAP = np.array(
    [
        [1, 1, 0, 255, 2],
        [1, 0, 0, 255, 2],
        [0, 2, 2, 0, 0],
        [2, 0, 0, 1, 0],
    ],
    np.uint8,
)
LABELS = st.sampled_from([0, 1, 2, 255])
maps = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda size: hnp.arrays(np.uint8, size, elements=LABELS)
)


def without(ignored, find):
    """A function of a label map that looks at all labels but one."""

    def look(seg_map, min_area=1):
        labels = [n for n in labels_in(seg_map) if n != ignored]
        return find(seg_map, labels, min_area)

    return look


class_regions = without(255, regions.class_regions)
component_regions = without(255, regions.component_regions)
BOTH = (class_regions, component_regions)


def full(region, size):
    canvas = np.zeros(size, np.uint8)
    write_patch(region.patch, canvas)
    return canvas


def shown(found, size=MAP.shape):
    return [(r.label, r.area, full(r, size).tolist()) for r in found]


def test_classes_are_one_region_each():
    found = class_regions(MAP)

    assert shown(found) == [
        (label, int((MAP == label).sum()), (MAP == label).astype(int).tolist())
        for label in (0, 1, 2)
    ]
    assert found[1].patch.extent == (0, 0, 4, 4)


def test_components_are_connected_at_corners_too():
    first = [[1, 1, 0, 0, 0], [1, 0, 0, 0, 0], [0] * 5, [0] * 5]
    second = [[0] * 5, [0] * 5, [0] * 5, [0, 0, 0, 1, 0]]
    ones = [r for r in component_regions(MAP) if r.label == 1]

    assert shown(ones) == [(1, 3, first), (1, 1, second)]
    twos = [r for r in component_regions(MAP) if r.label == 2]
    assert [r.patch.extent for r in twos] == [(4, 0, 5, 2), (0, 2, 3, 4)]
    assert twos[1].patch.bitmap.tolist() == [[0, 1, 1], [1, 0, 0]]


@pytest.mark.parametrize('find', BOTH)
def test_small_regions_are_left_out(find):
    for least in (1, 3, 4, 100):
        expected = [r.area for r in find(MAP) if r.area >= least]
        assert [r.area for r in find(MAP, min_area=least)] == expected


@pytest.mark.parametrize(
    'find', [regions.class_regions, regions.component_regions]
)
def test_only_the_given_labels_are_looked_at_in_their_order(find):
    labels = [r.label for r in find(MAP, [255, 7, 1])]
    assert sorted(set(labels), key=labels.index) == [255, 1]
    assert find(MAP, []) == []


@pytest.mark.parametrize('find', BOTH)
@given(seg_map=maps)
def test_regions_are_disjoint_and_together_all_that_is_not_ignored(
    find, seg_map
):
    before = seg_map.copy()
    total = np.zeros(seg_map.shape, int)
    for region in find(seg_map):
        mask = full(region, seg_map.shape)
        total += mask
        assert (seg_map[mask != 0] == region.label).all()
        assert region.area == region.patch.area == mask.sum()
        height, width = region.patch.bitmap.shape
        # Tight: every side of the box has a pixel.
        for line in (
            region.patch.bitmap[0],
            region.patch.bitmap[height - 1],
            region.patch.bitmap[:, 0],
            region.patch.bitmap[:, width - 1],
        ):
            assert line.any()

    assert np.array_equal(total, (seg_map != 255).astype(int))
    assert np.array_equal(seg_map, before)


@given(seg_map=maps)
def test_components_are_those_of_scipy(seg_map):
    ours = sorted(
        (r.label, full(r, seg_map.shape).tobytes())
        for r in component_regions(seg_map)
    )
    theirs = []
    for label in set(seg_map.ravel().tolist()) - {255}:
        numbers, count = ndimage.label(seg_map == label, np.ones((3, 3)))
        theirs += [
            (label, (numbers == n).astype(np.uint8).tobytes())
            for n in range(1, count + 1)
        ]

    assert ours == sorted(theirs)


@pytest.mark.parametrize('dtype', [np.int16, np.int64, np.uint16])
@pytest.mark.parametrize('find', BOTH)
def test_any_integer_type_gives_the_same(find, dtype):
    assert shown(find(MAP.astype(dtype))) == shown(find(MAP))


@pytest.mark.parametrize('dtype', [np.uint8, np.int8, np.int32, np.uint64])
def test_labels_are_listed(dtype):
    seg_map = np.array([[3, 100, 3], [0, 3, 100]], dtype)
    assert labels_in(seg_map) == [0, 3, 100]


def test_negative_and_large_labels():
    seg_map = np.array([[-1, 3000, 3000]], np.int32)
    found = without(-1, regions.class_regions)(seg_map)
    assert [(r.label, r.area) for r in found] == [(3000, 2)]


def test_what_is_no_label_map_is_refused():
    with pytest.raises(ValueError, match=r'shape \(H, W\), but this one'):
        labels_in(np.zeros((2, 2, 1), np.uint8))
    with pytest.raises(TypeError, match='of integers, but this one of float'):
        labels_in(np.zeros((2, 2)))
    assert class_regions(np.full((2, 2), 255, np.uint8)) == []
