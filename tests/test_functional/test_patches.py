import numpy as np
import pycocotools.mask as coco_mask
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from native_paths import path  # noqa: F401

from mmcp.functional.patches import (
    Patch,
    boxes_of,
    clip_patch,
    flip_patch,
    pack_patches,
    patch_from_bitmap,
    patch_from_box,
    patch_from_polygons,
    patch_from_rle,
    resize_patch,
    shift_patch,
    tighten,
    unpack_patches,
    write_patch,
)

HEIGHT, WIDTH = 24, 30
bitmaps = hnp.arrays(np.uint8, (6, 7), elements=st.integers(0, 1))


def full(patch, height=HEIGHT, width=WIDTH):
    canvas = np.zeros((height, width), np.uint8)
    write_patch(patch, canvas)
    return canvas


def decode(polygons, height=HEIGHT, width=WIDTH):
    """What pycocotools makes of an object on the whole canvas."""
    rles = coco_mask.frPyObjects(polygons, height, width)
    return coco_mask.decode(coco_mask.merge(rles))


def test_patch_from_bitmap_is_a_tight_view():
    mask = np.zeros((4, 5), np.uint8)
    mask[1:3, 2] = 1
    mask[2, 3] = 1
    patch = patch_from_bitmap(mask)
    assert (patch.x, patch.y) == (2, 1)
    assert patch.bitmap.tolist() == [[1, 0], [1, 1]]
    assert patch.extent == (2, 1, 4, 3)
    assert patch.area == 3
    assert np.shares_memory(patch.bitmap, mask)


@pytest.mark.parametrize('dtype', [bool, np.int64, np.uint8])
def test_patch_from_bitmap_of_any_dtype(dtype):
    mask = np.zeros((3, 3), dtype)
    mask[1, 1] = 1
    patch = patch_from_bitmap(mask)
    assert (patch.x, patch.y, patch.bitmap.tolist()) == (1, 1, [[1]])
    assert patch.bitmap.dtype == np.uint8


def test_empty_mask_has_an_empty_patch():
    patch = patch_from_bitmap(np.zeros((3, 3), np.uint8))
    assert patch.extent == (0, 0, 0, 0)
    assert patch.area == 0
    assert boxes_of([patch]).tolist() == [[0, 0, 0, 0]]


@given(bitmaps)
def test_write_undoes_patch_from_bitmap(mask):
    patch = patch_from_bitmap(mask)
    assert np.array_equal(full(patch, 6, 7), mask)
    assert patch.area == mask.sum()
    assert tighten(patch).extent == patch.extent


@given(bitmaps)
def test_boxes_are_mmdets(mask):
    from mmdet.structures.mask import BitmapMasks

    expected = BitmapMasks(mask[None], 6, 7).get_bboxes('hbox').tensor
    assert boxes_of([patch_from_bitmap(mask)]).tolist() == expected.tolist()


coordinate = st.one_of(
    st.floats(-8, 38, width=64),
    # One decimal: exactly where pycocotools' rounding is at its edge.
    st.integers(-80, 380).map(lambda value: value / 10),
)


@given(
    st.lists(
        st.lists(coordinate, min_size=6, max_size=12).map(
            lambda values: values[: len(values) // 2 * 2]
        ),
        min_size=1,
        max_size=3,
    )
)
def test_polygons_equal_pycocotools_on_the_whole_canvas(polygons):
    patch = patch_from_polygons(polygons, HEIGHT, WIDTH)
    assert np.array_equal(full(patch), decode(polygons))


@given(
    st.lists(
        st.integers(1000, 5000).map(lambda value: value / 10),
        min_size=6,
        max_size=6,
    )
)
def test_polygons_far_from_the_origin_keep_their_rounding(polygon):
    patch = patch_from_polygons([polygon], 512, 512)
    assert np.array_equal(full(patch, 512, 512), decode([polygon], 512, 512))


@pytest.mark.parametrize('size', [0, 4, 7])
def test_a_broken_polygon_is_an_error(size):
    with pytest.raises(ValueError, match='three vertices'):
        patch_from_polygons([np.arange(size)], HEIGHT, WIDTH)


def test_no_polygon_is_an_empty_patch():
    assert patch_from_polygons([], HEIGHT, WIDTH).area == 0


@given(bitmaps)
def test_every_rle_kind_decodes_to_the_same_patch(mask):
    compressed = coco_mask.encode(np.asfortranarray(mask))
    runs, value = [0], 0
    for pixel in mask.reshape(-1, order='F').tolist():
        if pixel != value:
            runs.append(0)
            value = pixel
        runs[-1] += 1
    text = dict(compressed, counts=compressed['counts'].decode())
    for rle in (compressed, text, {'size': [6, 7], 'counts': runs}):
        patch = patch_from_rle(rle)
        assert np.array_equal(full(patch, 6, 7), mask)


@pytest.mark.parametrize(
    ('box', 'cover', 'extent'),
    [
        ((1.2, 1.8, 3.1, 3.0), True, (1, 1, 4, 3)),
        ((1.2, 1.8, 3.1, 3.0), False, (1, 1, 3, 3)),
        ((-4.0, -4.0, 99.0, 2.0), True, (0, 0, WIDTH, 2)),
        ((5.0, 5.0, 5.0, 9.0), True, (0, 0, 0, 0)),
    ],
)
def test_patch_from_box(box, cover, extent):
    patch = patch_from_box(box, HEIGHT, WIDTH, cover)
    assert patch.extent == extent
    assert patch.bitmap.all()


def test_clip_patch():
    patch = Patch(2, 2, np.array([[0, 1], [1, 1]], np.uint8))
    assert clip_patch(patch, 4, 4) is patch
    cut = clip_patch(patch, 3, 9)
    assert (cut.x, cut.y, cut.bitmap.tolist()) == (3, 2, [[1]])
    assert clip_patch(patch, 2, 2).extent == (0, 0, 0, 0)


patches_anywhere = st.builds(
    lambda bitmap, x, y: tighten(Patch(x, y, bitmap)),
    bitmaps,
    st.integers(0, WIDTH - 7),
    st.integers(0, HEIGHT - 6),
)


@given(patches_anywhere, st.integers(-40, 40), st.integers(-40, 40))
def test_shift_patch_equals_shifting_the_canvas(patch, right, down):
    far = np.zeros((3 * 40 + HEIGHT, 3 * 40 + WIDTH), np.uint8)
    far[40 + down :, 40 + right :][:HEIGHT, :WIDTH] = full(patch)
    expected = far[40:60, 40:75]
    moved = shift_patch(patch, right, down, 20, 35)
    assert np.array_equal(full(moved, 20, 35), expected)
    assert tighten(moved).extent == moved.extent


@pytest.mark.parametrize(
    ('direction', 'axes'),
    [('horizontal', [1]), ('vertical', [0]), ('diagonal', [0, 1])],
)
@given(patches_anywhere)
def test_flip_patch_equals_flipping_the_canvas(direction, axes, patch):
    flipped = flip_patch(patch, direction, HEIGHT, WIDTH)
    assert np.array_equal(full(flipped), np.flip(full(patch), axes))


def test_flip_patch_refuses_an_unknown_direction():
    with pytest.raises(ValueError, match="'horizontal'"):
        flip_patch(Patch(0, 0, np.ones((1, 1), np.uint8)), 'left', 4, 4)


@given(patches_anywhere, st.data())
def test_resize_patch_equals_taking_rows_and_columns(patch, data):
    rows, columns = (
        np.sort(data.draw(st.lists(st.integers(0, n - 1), min_size=1)))
        for n in (HEIGHT, WIDTH)
    )
    resized = resize_patch(patch, rows, columns)
    expected = full(patch)[rows][:, columns]
    assert np.array_equal(full(resized, *expected.shape), expected)
    assert tighten(resized).extent == resized.extent


@given(st.lists(patches_anywhere, max_size=5))
def test_unpacking_gives_what_was_packed(patches):
    bits, extents = pack_patches(patches)
    pixels = sum(patch.bitmap.size for patch in patches)
    assert bits.nbytes == -(-pixels // 8)
    unpacked = unpack_patches(bits, extents)
    assert [p.extent for p in unpacked] == [p.extent for p in patches]
    for one, other in zip(unpacked, patches, strict=True):
        assert np.array_equal(one.bitmap, other.bitmap)


class TestRasterisePolygons:
    """Equal to pycocotools, also where an edge is halfway between points."""

    @given(st.integers(0, 2**32), st.sampled_from([5, 40, 200]))
    def test_random_objects(self, seed, side):
        rng = np.random.default_rng(seed)
        height, width = rng.integers(5, 300, 2).tolist()
        parts = []
        for _ in range(rng.integers(1, 4)):
            center = rng.uniform(-20, 320, 2)
            points = rng.normal(center, side, (rng.integers(3, 10), 2))
            parts.append(np.round(points, rng.integers(3)).ravel())
        patch = patch_from_polygons(parts, height, width)
        expected = decode(parts, height, width)
        assert np.array_equal(full(patch, height, width), expected)
        assert patch.extent == patch_from_bitmap(expected).extent

    def test_halfway_edge(self):
        # Of COCO's image 434177; moving the origin changes one pixel.
        part = [129.16, 235.4, 123.53, 225.07, 127.29, 219.43, 138.08, 213.33]
        expected = decode([part], 480, 640)
        patch = patch_from_polygons([part], 480, 640)
        assert np.array_equal(full(patch, 480, 640), expected)

    def test_nothing(self):
        assert patch_from_polygons([], HEIGHT, WIDTH).area == 0
        beyond = np.array([90.0, 90, 99, 90, 99, 99])
        assert patch_from_polygons([beyond], HEIGHT, WIDTH).area == 0
        assert patch_from_polygons([-beyond], HEIGHT, WIDTH).area == 0

    @pytest.mark.parametrize('size', [4, 7])
    def test_broken(self, size):
        with pytest.raises(ValueError, match='three vertices'):
            patch_from_polygons([np.arange(size)], HEIGHT, WIDTH)
