import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from mask_samples import random_bitmap
from native_paths import needs_compiled

from mmcp.functional import native
from mmcp.functional.jitter import JitterParams, jitter_boxes
from mmcp.functional.mask_targets import crop_and_resize_patches
from mmcp.functional.paste import cut_patches
from mmcp.functional.patches import EMPTY, Patch, patch_from_polygons
from mmcp.functional.polygons import (
    clip_parts,
    measure_outlines,
    sound_parts,
)

HEIGHT, WIDTH = 24, 30

coordinate = st.one_of(
    st.floats(-8, 38, width=64),
    # One decimal: exactly where pycocotools' rounding is at its edge.
    st.integers(-80, 380).map(lambda value: value / 10),
    st.integers(-3, 34).map(float),
)
part = (
    st.lists(coordinate, min_size=6, max_size=16)
    .map(lambda values: values[: len(values) // 2 * 2])
    .map(np.array)
)
objects = st.lists(part, min_size=1, max_size=3)
number = st.one_of(
    st.integers(-200, 200),
    st.integers(10**400, 10**401),
    st.floats(),
    st.sampled_from([True, None, '7', [1.0], np.float64(3), np.int64(4)]),
)


@pytest.fixture(scope='module', autouse=True)
def compiled():
    needs_compiled()


def both(function, *arguments):
    """What the compiled function and its twin give."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, 'compiled', None)
        twin = function(*arguments)
    return function(*arguments), twin


def check_equal_patches(got, expected):
    assert got.extent == expected.extent
    assert got.bitmap.dtype == expected.bitmap.dtype
    assert np.array_equal(got.bitmap, expected.bitmap)


def test_the_compiled_module_is_used_and_can_be_left_out():
    code = 'from mmcp.functional import native; print(native.compiled)'
    for value, found in (('', '_native'), ('0', 'None')):
        done = subprocess.run(
            [sys.executable, '-c', code],
            env={'MMCP_NATIVE': value},
            capture_output=True,
            text=True,
            check=True,
        )
        assert found in done.stdout


def test_one_of_another_version_is_not_used(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(native, 'VERSION', native.VERSION + 1)
        assert native._load() is None
    name = 'mmcp.functional._native'
    monkeypatch.setitem(sys.modules, name, ModuleType(name))
    assert native._load() is None


@given(objects)
@example([np.array([3, 3, 3, 3, 3, 3.0])])
@example([np.array([-50, -50, -50, 90, 90, 90, 90, -50.0])])
def test_rasterising(parts):
    check_equal_patches(*both(patch_from_polygons, parts, HEIGHT, WIDTH))


@given(st.lists(st.integers(-9000, 9000), min_size=6, max_size=30))
def test_rasterising_long_edges(fifths):
    parts = [np.array(fifths[: len(fifths) // 2 * 2]) / 5]
    check_equal_patches(*both(patch_from_polygons, parts, 900, 700))


def test_absurd_coordinates_are_left_to_the_twin():
    far = np.array([0, 0, 2e8, 0, 0, 4])
    assert native.compiled.rasterise([far], 4, 4) is None
    broken = np.array([0, 0, np.nan, 0, 0, 4])
    assert native.compiled.rasterise([broken], 4, 4) is None


def test_parts_of_other_sizes_are_read_within_their_bounds():
    empty = np.zeros(0)
    assert native.compiled.rasterise([empty], 4, 4) == (0, 0, (0, 0), b'')
    assert native.compiled.clip([empty], 4.0, 4.0) == [empty]
    odd = np.array([0, 0, 4, 0, 4, 4, 9.0])
    square = native.compiled.rasterise([odd[:6]], 4, 4)
    assert native.compiled.rasterise([odd, empty], 4, 4) == square


@pytest.mark.parametrize('size', [(0, 0), (0, 5), (5, 0), (-5, 5), (5, -5)])
def test_images_without_a_pixel(size):
    part = np.array([-3, -3, 9, 0, 9, 9.0])
    *_, pixels = native.compiled.rasterise([part, part], *size)
    assert pixels == b''


hostile = st.one_of(
    coordinate,
    st.floats(),
    st.sampled_from([1e300, -1e300, 1e9, 9.9e7, -9.9e7]),
)


@given(
    st.lists(st.lists(hostile, max_size=12).map(np.array), max_size=3),
    st.integers(0, 40),
    st.integers(0, 40),
    hostile,
)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_anything_that_is_a_number_ends_well(parts, height, width, limit):
    parts = [part.astype(np.float64) for part in parts]
    made = native.compiled.rasterise(parts, height, width)
    if made is not None:
        x, y, (rows, columns), pixels = made
        assert len(pixels) == rows * columns
        assert 0 <= x <= x + columns <= width
        assert 0 <= y <= y + rows <= height
    assert len(native.compiled.measure(parts)) == 5
    for part in native.compiled.clip(parts, limit, limit):
        assert len(memoryview(part).cast('B')) % 8 == 0


@given(st.lists(st.lists(number, max_size=9), max_size=3))
@example([[0, 0, 4, 0, 4, 4], [-9, 0, -8, 0, -8, 4]])
@example([[-9, 0, -8, 0, -8, 4]])
def test_sound_parts(parts):
    got, expected = both(sound_parts, parts, 10, 12)
    assert len(got) == len(expected)
    for one, other in zip(got, expected, strict=True):
        assert one.dtype == other.dtype
        assert one.flags.writeable
        assert one.tolist() == other.tolist()


@given(objects, st.integers(1, 34), st.integers(1, 34))
def test_clipping(parts, right, bottom):
    got, expected = both(clip_parts, parts, right, bottom)
    for old, one, other in zip(parts, got, expected, strict=True):
        assert one.tolist() == other.tolist()
        assert (one is old) == (other is old)


@given(st.lists(st.one_of(objects, st.just([])), max_size=4))
def test_outlines(many):
    got, expected = both(measure_outlines, many)
    assert np.array_equal(got.extents, expected.extents)
    np.testing.assert_allclose(got.thickness, expected.thickness)


@given(st.integers(0, 2**32), st.booleans())
def test_cutting(seed, mirrored):
    rng = np.random.default_rng(seed)
    below = [
        Patch(int(x), int(y), random_bitmap(rng, *rng.integers(1, 12, 2)))
        for x, y in rng.integers(0, 12, (4, 2))
    ]
    above = random_bitmap(rng, 9, 11)
    union = Patch(5, 4, above[:, ::-1] if mirrored else above)
    got, expected = both(cut_patches, below, union)
    assert got.lost.tolist() == expected.lost.tolist()
    assert got.area.tolist() == expected.area.tolist()
    assert got.area_before.tolist() == expected.area_before.tolist()
    for one, other in zip(got.patches, expected.patches, strict=True):
        check_equal_patches(one, other)


side = st.one_of(st.floats(-40, 90, width=32), st.integers(-9, 70))


@given(
    st.lists(st.tuples(side, side, side, side), max_size=5),
    st.floats(0.1, 3),
    st.integers(0, 40),
    st.booleans(),
)
@example([(np.nan, 0, np.inf, 3)], 1.5, 2, True)
def test_moving_boxes(rows, ratio, offset, flip):
    boxes = np.array(rows, np.float32).reshape(-1, 4)
    before = boxes.copy()
    params = JitterParams((50, 60), (40, 70), ratio, (offset, offset), flip)
    got, expected = both(jitter_boxes, boxes, params)
    np.testing.assert_array_equal(boxes, before)
    for one, other in zip(got, expected, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@given(st.integers(0, 2**32), st.booleans())
def test_mask_targets(seed, mirrored):
    rng = np.random.default_rng(seed)
    patches = [EMPTY]
    for _ in range(3):
        x, y = rng.integers(0, 12, 2)
        bitmap = random_bitmap(rng, *rng.integers(1, 20, 2))
        bitmap = bitmap[:, ::-1] if mirrored else bitmap
        patches.append(Patch(int(x), int(y), bitmap))
    corners = np.sort(rng.uniform(-8, 40, (6, 2, 2)), axis=1)
    boxes = corners.reshape(6, 4).astype(np.float32)
    rows = rng.integers(0, 4, 6)
    got, expected = both(
        crop_and_resize_patches, patches, boxes, rows, (5, 7), 32, 32, False
    )
    np.testing.assert_allclose(got, expected, atol=1e-5)


floats = np.zeros((2, 3), np.float32)
pixels = np.zeros((3, 4), np.uint8)


@pytest.mark.parametrize(
    ('arguments', 'kind', 'error'),
    [
        ((floats, floats, pixels, floats), ValueError, 'do not fit'),
        ((pixels, floats, pixels, floats), TypeError, 'float32'),
        ((floats, floats[0], pixels, floats), TypeError, 'float32'),
        ((floats, floats, pixels[:, ::2], floats), TypeError, 'rows'),
        ((floats, floats, pixels, b'12345678'), BufferError, 'writable'),
        ((floats, floats[:, ::2], pixels, floats), ValueError, 'contiguous'),
    ],
)
def test_factors_that_do_not_fit(arguments, kind, error):
    with pytest.raises(kind, match=error):
        native.compiled.resample(*arguments)


@pytest.mark.parametrize(
    ('call', 'error'),
    [
        (lambda c: c.rasterise([np.zeros(6, np.float32)], 4, 4), 'float64'),
        (lambda c: c.measure([b'12345678']), 'float64'),
        (lambda c: c.clip([7], 1.0, 1.0), 'bytes-like'),
        (lambda c: c.rasterise(7, 4, 4), 'sequence'),
        (lambda c: c.cut(np.zeros(3, np.uint8), 0, 0, b'', 0, 0), 'rows'),
        (
            lambda c: c.cut(
                np.zeros((2, 2), np.uint8), 0, 0, np.zeros((2, 2)), 0, 0
            ),
            'rows',
        ),
    ],
)
def test_wrong_arguments_are_errors(call, error):
    with pytest.raises(TypeError, match=error):
        call(native.compiled)
