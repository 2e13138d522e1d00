import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from native_paths import path  # noqa: F401

from mmcp.functional.patches import patch_from_polygons, write_patch
from mmcp.functional.polygons import (
    clip_polygon,
    measure_outlines,
    sound_parts,
)

SQUARE = [0, 0, 4, 0, 4, 4, 0, 4]


def rasterise(points, size=(40, 50)):
    canvas = np.zeros(size, np.uint8)
    write_patch(patch_from_polygons([points.reshape(-1)], *size), canvas)
    return canvas


def test_sound_parts_are_float_copies():
    (part,) = sound_parts([SQUARE], 10, 10)
    assert part.dtype == np.float64
    assert part.tolist() == SQUARE


@pytest.mark.parametrize(
    'part',
    [
        [],
        [1, 2],
        [0, 0, 4, 4],
        [0, 0, 4, 0, 4, 4, 0],
        [0, 0, 4, np.nan, 4, 4],
        [0, 0, 4, np.inf, 4, 4],
        [0, 0, 1e9, 0, 4, 4],
        [0, 0, -1e9, 0, 4, 4],
        [0, 0, 4, None, 4, 4],
        ['a', 'b', 'c', 'd', 'e', 'f'],
        [[0, 0], [4, 0, 4]],
        7,
        None,
    ],
)
def test_broken_parts_are_left_out(part):
    assert sound_parts([part], 10, 10) == []
    (kept,) = sound_parts([part, SQUARE], 10, 10)
    assert kept.tolist() == SQUARE


@pytest.mark.parametrize(('dx', 'dy'), [(-4, 0), (12, 0), (0, -4), (0, 10)])
def test_an_object_wholly_outside_has_no_sound_part(dx, dy):
    moved = (np.reshape(SQUARE, (-1, 2)) + [dx, dy]).reshape(-1)
    assert sound_parts([moved], 10, 12) == []
    # One part inside makes the object visible; MMDetection keeps both.
    assert len(sound_parts([moved, SQUARE], 10, 12)) == 2


def test_thickness_is_that_of_the_thickest_part():
    flat = np.array([0, 0, 9, 0, 9, 0, 0, 0], float)
    bar = np.array([0, 0, 100, 0, 100, 2, 0, 2], float)
    square = np.array(SQUARE, float)
    objects = [[flat], [flat, square], [], [bar], [square]]
    outlines = measure_outlines(objects)
    np.testing.assert_allclose(outlines.thickness, [0, 2, 0, 400 / 204, 2])
    assert measure_outlines([]).thickness.shape == (0,)
    taken = outlines.take([3, 1])
    np.testing.assert_array_equal(taken.thickness, outlines.thickness[[3, 1]])
    np.testing.assert_array_equal(taken.extents, outlines.extents[[3, 1]])


def test_extents_cover_all_parts():
    parts = [np.array(SQUARE, float), np.array([-2, 9, 1, 1, 0, 3.5])]
    extents = measure_outlines([parts[:1], [], parts, parts[1:]]).extents
    expected = [[0, 0, 4, 4], [np.inf, np.inf, -np.inf, -np.inf],
                [-2, 0, 4, 9], [-2, 1, 1, 9]]  # fmt: skip
    np.testing.assert_array_equal(extents, expected)
    assert measure_outlines([]).extents.shape == (0, 4)


coordinates = st.integers(-20, 70).map(lambda v: v / 2)
polygons = st.lists(st.tuples(coordinates, coordinates), min_size=3,
                    max_size=9)  # fmt: skip


@given(polygons, st.sampled_from([0, 1]), st.integers(1, 34))
def test_clipping_equals_masking_the_pixels(points, axis, limit):
    points = np.array(points)
    whole = rasterise(points)
    clipped = clip_polygon(points, axis, limit)
    assert len(clipped) >= 3
    assert clipped[:, axis].max() <= limit
    beyond = np.s_[:, limit:] if axis == 0 else np.s_[limit:]
    expected = whole.copy()
    expected[beyond] = 0
    got = rasterise(clipped)
    assert not got[beyond].any()
    # Where an edge is cut, its new end is rounded to the grid of pycocotools.
    assert (got != expected).sum() <= 4 * len(points)


def test_clipping_a_rectangle_is_exact():
    points = np.array([[1, 1], [9, 1], [9, 5], [1, 5]], float)
    expected = [[1, 1], [6, 1], [6, 5], [1, 5]]
    clipped = clip_polygon(points, 0, 6)
    assert sorted(map(tuple, clipped)) == sorted(map(tuple, expected))
    np.testing.assert_array_equal(clip_polygon(points, 1, 5), points)


def test_clipping_a_concave_polygon_keeps_its_prongs_apart():
    fork = np.array(
        [[0, 0], [8, 0], [8, 2], [3, 2], [3, 4], [8, 4], [8, 6], [0, 6]], float
    )
    expected = np.zeros((40, 50), np.uint8)
    expected[:6, :5] = 1
    expected[2:4, 3:] = 0
    np.testing.assert_array_equal(
        rasterise(clip_polygon(fork, 0, 5)), expected
    )


def test_what_lies_beyond_the_line_leaves_no_pixel():
    points = np.array([[20, 1], [29, 1], [29, 5]], float)
    assert not rasterise(clip_polygon(points, 0, 10)).any()
