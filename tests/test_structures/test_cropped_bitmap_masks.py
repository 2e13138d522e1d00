import copy
import importlib
import pickle
import tracemalloc

import mmcv
import numpy as np
import pycocotools.mask as coco_mask
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mask_samples import bitmap_masks, random_bitmap, random_masks
from mmdet.structures.bbox import HorizontalBoxes, register_box
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from mmengine.structures import InstanceData

from mmcp.functional.patches import Patch, patch_from_bitmap
from mmcp.structures import CroppedBitmapMasks, Polygons

SIZE = (12, 16)
TRIANGLE = np.array([1.0, 1, 9, 2, 4, 11])
SQUARE = np.array([10.0, 3, 15, 3, 15, 8, 10, 8])
sides = st.integers(1, 60)


def cropped(masks):
    return CroppedBitmapMasks.from_bitmap_masks(masks)


def check_same(ours, theirs):
    """Same class for users, same size, same pixels, patches as promised."""
    assert isinstance(ours, CroppedBitmapMasks)
    assert (ours.height, ours.width) == (theirs.height, theirs.width)
    assert type(ours.height) is type(ours.width) is int
    assert len(ours) == len(theirs)
    pixels = ours.to_ndarray()
    assert pixels.dtype == np.uint8
    assert pixels.shape == theirs.masks.shape
    assert np.array_equal(pixels, theirs.masks)
    for patch, mask in zip(ours.patches(), theirs.masks, strict=True):
        tight = patch_from_bitmap(mask)
        assert patch.extent == tight.extent
        assert patch.bitmap.dtype == np.uint8


def rle(mask, compressed=True):
    if compressed:
        return coco_mask.encode(np.asfortranarray(mask))
    runs = np.flatnonzero(np.diff(mask.T.ravel().astype(int), prepend=0))
    ends = [0, *runs.tolist(), mask.size]
    return dict(size=list(mask.shape), counts=np.diff(ends).tolist())


def decoded(*parts, size=SIZE):
    rles = coco_mask.frPyObjects([list(part) for part in parts], *size)
    return coco_mask.decode(coco_mask.merge(rles))


class TestItems:
    """What a container can be made of."""

    def test_every_kind(self):
        rng = np.random.default_rng(0)
        full = [random_bitmap(rng, *SIZE) | np.eye(*SIZE, dtype=np.uint8)]
        full.append(np.ascontiguousarray(full[0][:, ::-1]))
        masks = CroppedBitmapMasks(
            [
                Patch(2, 3, np.ones((2, 4), np.uint8)),
                Polygons([TRIANGLE, SQUARE]),
                rle(full[0]),
                rle(full[1], compressed=False),
                full[1].astype(bool),
                Polygons([]),
            ],
            *SIZE,
        )
        rectangle = np.zeros(SIZE, np.uint8)
        rectangle[3:5, 2:6] = 1
        union = decoded(TRIANGLE, SQUARE)
        nothing = np.zeros(SIZE, np.uint8)
        every = [rectangle, union, full[0], full[1], full[1], nothing]
        check_same(masks, BitmapMasks(every, *SIZE))

    @given(bitmap_masks())
    def test_bitmaps_and_back(self, masks):
        ours = cropped(masks)
        check_same(ours, masks)
        back = ours.to_bitmap_masks()
        assert type(back) is BitmapMasks
        assert np.array_equal(back.masks, masks.masks)
        assert cropped(ours) is ours

    def test_bitmaps_are_copied(self):
        masks = BitmapMasks(np.ones((1, *SIZE), np.uint8), *SIZE)
        ours = cropped(masks)
        masks.masks[:] = 0
        assert ours.areas.tolist() == [SIZE[0] * SIZE[1]]

    @given(st.integers(0, 2**32), st.integers(0, 4))
    def test_polygons_equal_mmdetection(self, seed, count):
        rng = np.random.default_rng(seed)
        objects = [
            [
                rng.uniform(-5, 25, 2 * rng.integers(3, 8))
                for _ in range(rng.integers(1, 3))
            ]
            for _ in range(count)
        ]
        theirs = PolygonMasks(objects, *SIZE)
        ours = CroppedBitmapMasks.from_polygon_masks(theirs)
        check_same(ours, theirs.to_bitmap())

    def test_parts_without_pixels_are_left_out(self):
        objects = [[SQUARE, np.zeros(4)], [np.zeros(2)]]
        ours = CroppedBitmapMasks.from_polygon_masks(
            PolygonMasks(objects, *SIZE)
        )
        assert ours.to_ndarray()[0].tolist() == decoded(SQUARE).tolist()
        assert ours.areas[1] == 0

    def test_values_other_than_one_count_as_one(self):
        bitmap = np.array([[0, 200], [3, 0]], np.uint8)
        canvas = np.pad(bitmap, ((0, 10), (0, 14))).astype(np.int64)
        ours = CroppedBitmapMasks([Patch(0, 0, bitmap), canvas], *SIZE)
        expected = (canvas != 0).astype(int).tolist()
        assert ours.to_ndarray().tolist() == [expected, expected]

    @pytest.mark.parametrize(
        ('item', 'error', 'words'),
        [
            (Patch(15, 0, np.ones((1, 2), np.uint8)), ValueError, 'outside'),
            (Patch(-1, 0, np.ones((1, 2), np.uint8)), ValueError, 'outside'),
            (rle(np.eye(4, dtype=np.uint8)), ValueError, 'run-length'),
            (np.ones((4, 4), np.uint8), TypeError, r'of shape \(4, 4\)'),
            ([TRIANGLE], TypeError, 'Polygons'),
            ({'counts': []}, TypeError, 'dict'),
        ],
    )
    def test_what_does_not_fit_is_refused(self, item, error, words):
        with pytest.raises(error, match=words):
            CroppedBitmapMasks([item], *SIZE)


class TestLaziness:
    """Polygons and encodings stay until pixels are asked for."""

    def lazy(self):
        item = rle(decoded(SQUARE))
        return CroppedBitmapMasks([Polygons([TRIANGLE]), item], *SIZE)

    @pytest.fixture
    def rasterised(self, monkeypatch):
        """Rows that were rasterised, as polygons or as encodings."""
        seen = []
        for name in ('patch_from_polygons', 'patch_from_rle'):
            _record(monkeypatch, f'mmcp.structures.mask_items.{name}', seen)
        return seen

    def test_nothing_is_rasterised_but_what_is_asked_for(self, rasterised):
        masks = self.lazy()
        masks = masks.cat([masks, masks[1:], copy.copy(masks)])[[2, 0, 1]]
        copy.deepcopy(masks), pickle.loads(pickle.dumps(masks)), repr(masks)
        masks.map_geometry(lambda p: p, lambda p: p, *SIZE)
        # Moving needs the two encodings' pixels, no polygon's.
        assert rasterised == ['patch_from_rle'] * 2
        masks.patches([1])
        masks.patches(np.array([1]))
        assert rasterised[2:] == ['patch_from_polygons']
        masks.areas, masks.to_ndarray(), masks.rasterised(), masks[1].areas
        assert len(rasterised) == 3

    def test_geometry_moves_polygons_and_patches(self):
        masks = self.lazy()
        masks.patches()  # Having looked at the pixels changes nothing.

        def move_points(points):
            assert points.dtype == np.float64
            assert points.shape == (3, 2)
            return points / 2 + 1

        def move_patch(patch):
            return patch._replace(x=patch.x + 4, y=0)

        moved = masks.map_geometry(move_points, move_patch, 20, 24)
        triangle = decoded(TRIANGLE / 2 + 1, size=(20, 24))
        square = np.zeros((20, 24), np.uint8)
        square[:5, 14:19] = 1
        check_same(moved, BitmapMasks([triangle, square], 20, 24))
        again = moved.map_geometry(lambda p: 2 * (p - 1), lambda p: p, 20, 24)
        first = decoded(TRIANGLE, size=(20, 24))
        assert np.array_equal(again.to_ndarray()[0], first)

    def test_rasterised_owns_small_memory(self):
        canvas = np.zeros(SIZE, np.uint8)
        canvas[2:9, 3:7] = 1
        view = Patch(3, 2, canvas[2:9, 3:7])
        whole = rle(canvas)
        masks = CroppedBitmapMasks([view, whole, Polygons([TRIANGLE])], *SIZE)
        for patch in masks.rasterised().patches():
            base = patch.bitmap.base
            assert base is None or len(base) == patch.bitmap.size
            assert patch.bitmap.flags.c_contiguous
        check_same(masks.rasterised(), masks.to_bitmap_masks())

    def test_items_outlive_rasterising(self):
        masks = self.lazy()
        sizes = len(pickle.dumps(masks)), len(pickle.dumps(masks[:1]))
        masks.patches()
        again = len(pickle.dumps(masks)), len(pickle.dumps(masks[:1]))
        assert sizes == again

    @given(bitmap_masks())
    def test_pickling(self, masks):
        check_same(pickle.loads(pickle.dumps(cropped(masks))), masks)

    def test_pickling_keeps_the_order_of_lazy_items(self):
        square = Patch(3, 2, np.ones((3, 3), np.uint8))
        triangle = Polygons([TRIANGLE])
        masks = CroppedBitmapMasks([square, triangle, square, triangle], *SIZE)
        loaded = pickle.loads(pickle.dumps(masks))
        check_same(loaded, masks.to_bitmap_masks())
        moved = loaded.map_geometry(lambda p: p + 1, lambda p: p, *SIZE)
        expected = decoded(TRIANGLE + 1)
        assert np.array_equal(moved.to_ndarray()[[1, 3]], [expected] * 2)

    def test_pickle_is_one_bit_a_pixel(self):
        masks = cropped(BitmapMasks(np.ones((3, 80, 80), np.uint8), 80, 80))
        assert len(pickle.dumps(masks)) < 3 * 80 * 80 / 8 + 500


def _record(monkeypatch, target, seen):
    module, name = target.rsplit('.', 1)
    original = getattr(importlib.import_module(module), name)

    def recorded(*args):
        seen.append(name)
        return original(*args)

    monkeypatch.setattr(target, recorded)


class TestContainer:
    """Length, order, selection, arrays and tensors."""

    @given(bitmap_masks())
    def test_reading(self, masks):
        ours = cropped(masks)
        rows = list(ours)
        assert len(rows) == len(masks)
        for mask, expected in zip(rows, masks, strict=True):
            assert mask.dtype == np.uint8
            assert np.array_equal(mask, expected)
        assert np.array_equal(ours.masks, masks.masks)
        assert ours.areas.dtype == masks.areas.dtype
        assert ours.areas.tolist() == masks.areas.tolist()
        size = f'num_masks={len(masks)}, height={masks.height}'
        assert repr(ours).startswith(f'CroppedBitmapMasks({size}, width=')

    @pytest.mark.parametrize(
        'index',
        [
            1,
            -1,
            np.int64(2),
            slice(None),
            slice(1, None, 2),
            slice(3, 3),
            [2, 0, 0],
            [],
            np.array([3, 1]),
            np.array([True, False, True, False]),
            np.zeros(4, bool),
            [False, True, False, True],
            torch.tensor([1, 3]),
            torch.tensor(2),
            torch.tensor([False, True, True, False]),
            torch.zeros(0, dtype=torch.long),
        ],
        ids=str,
    )
    def test_indexing(self, index):
        masks = random_masks(np.random.default_rng(1), 4, *SIZE)
        plain = index.numpy() if isinstance(index, torch.Tensor) else index
        check_same(cropped(masks)[index], masks[plain])

    @pytest.mark.parametrize('index', [4, [0, 4], np.ones(3, bool), (0, 1)])
    def test_indexing_beyond_the_end(self, index):
        masks = cropped(random_masks(np.random.default_rng(1), 4, *SIZE))
        with pytest.raises(IndexError):
            masks[index]

    @pytest.mark.parametrize(
        'dtype', [torch.uint8, torch.bool, torch.long, torch.float32]
    )
    @given(masks=bitmap_masks())
    def test_to_tensor(self, dtype, masks):
        ours = cropped(masks).to_tensor(dtype, 'cpu')
        theirs = masks.to_tensor(dtype, 'cpu')
        assert ours.dtype == theirs.dtype
        assert torch.equal(ours, theirs)

    @given(bitmap_masks(), st.integers(0, 3))
    def test_cat(self, masks, at):
        ours = cropped(masks)
        parts = [ours[:at], masks[at:], ours]
        theirs = masks.cat([masks, masks])
        check_same(CroppedBitmapMasks.cat(parts), theirs)
        # MMDetection's class takes ours as well.
        assert np.array_equal(BitmapMasks.cat(parts).masks, theirs.masks)

    def test_cat_refuses(self):
        with pytest.raises(ValueError, match='empty'):
            CroppedBitmapMasks.cat([])
        with pytest.raises(ValueError, match='same height'):
            CroppedBitmapMasks.cat(
                [CroppedBitmapMasks([], 3, 4), CroppedBitmapMasks([], 4, 3)]
            )

    def test_copies_do_not_follow_each_other(self):
        masks = cropped(BitmapMasks(np.ones((2, *SIZE), np.uint8), *SIZE))
        for other in (copy.copy(masks), copy.deepcopy(masks), masks[:]):
            other.masks[0] = 0
            assert other.areas.tolist() == [0, 192]
        assert masks.areas.tolist() == [192, 192]

    def test_inside_instance_data(self):
        masks = random_masks(np.random.default_rng(2), 3, *SIZE)
        data = InstanceData(labels=torch.arange(3), masks=cropped(masks))
        check_same(data[torch.tensor([2, 0])].masks, masks[[2, 0]])
        check_same(data[data.labels > 0].masks, masks[1:])
        check_same(data[:0].masks, masks[:0])
        twice = InstanceData.cat([data, data])
        check_same(twice.masks, masks.cat([masks, masks]))


class TestWritingIntoMasks:
    """``masks`` is BitmapMasks' array for those who write into it."""

    @pytest.fixture
    def masks(self):
        masks = cropped(BitmapMasks(np.ones((2, *SIZE), np.uint8), *SIZE))
        masks.masks[1, 2:] = 0
        return masks

    def test_each_method_sees_it(self, masks):
        expected = np.ones((2, *SIZE), np.uint8)
        expected[1, 2:] = 0
        theirs = BitmapMasks(expected, *SIZE)
        check_same(masks, theirs)
        assert masks.areas.tolist() == [192, 32]
        assert np.array_equal(list(masks), expected)
        check_same(masks[1], theirs[1])
        check_same(masks.cat([masks]), theirs)
        check_same(copy.deepcopy(masks), theirs)
        check_same(pickle.loads(pickle.dumps(masks)), theirs)
        check_same(masks.rasterised(), theirs)
        moved = masks.map_geometry(lambda p: p, lambda p: p, *SIZE)
        check_same(moved, theirs)
        masks.masks[0] = 0
        assert masks.areas.tolist() == [0, 32]

    def test_what_was_taken_before_stays(self, masks):
        before = masks[:], masks.rasterised()
        masks.masks[:] = 0
        assert [part.areas.tolist() for part in before] == [[192, 32]] * 2

    def test_setting(self, masks):
        new = np.zeros((3, *SIZE), np.int64)
        new[2, 5] = 7
        masks.masks = new
        assert masks.masks is new
        check_same(masks, BitmapMasks((new != 0).astype(np.uint8), *SIZE))

    def test_setting_another_size_is_refused(self, masks):
        with pytest.raises(ValueError, match='12, 16'):
            masks.masks = np.zeros((2, 16, 12), np.uint8)


class TestBoxes:
    @given(bitmap_masks())
    def test_horizontal(self, masks):
        theirs = masks.get_bboxes('hbox')
        ours = cropped(masks)
        for boxes in (
            ours.get_bboxes(),
            ours.get_bboxes('hbox'),
            ours.get_bboxes(HorizontalBoxes),
            HorizontalBoxes.from_instance_masks(ours),
        ):
            assert type(boxes) is HorizontalBoxes
            assert boxes.tensor.dtype == torch.float32
            assert torch.equal(boxes.tensor, theirs.tensor)

    def test_other_types_get_bitmaps(self):
        register_box('mmcp_test_box', _WideBoxes, force=True)
        masks = random_masks(np.random.default_rng(3), 4, *SIZE)
        ours = cropped(masks).get_bboxes('mmcp_test_box')
        assert type(ours) is _WideBoxes
        theirs = masks.get_bboxes('hbox').tensor
        assert torch.equal(ours.tensor, theirs + 1)


class _WideBoxes(HorizontalBoxes):
    @staticmethod
    def from_instance_masks(masks):
        assert type(masks) is BitmapMasks
        boxes = HorizontalBoxes.from_instance_masks(masks)
        return _WideBoxes(boxes.tensor + 1)


class TestGeometry:
    """Each operation against BitmapMasks on random masks, none included."""

    @given(bitmap_masks(), sides, sides)
    def test_resize(self, masks, height, width):
        size = (height, width)
        check_same(cropped(masks).resize(size), masks.resize(size))

    @pytest.mark.parametrize('side', [1, 2, 255, 256, 257, 700, 1333])
    @pytest.mark.parametrize('new', [1, 37, 256, 480, 1000, 2001])
    def test_resize_takes_the_pixels_that_cv2_takes(self, side, new):
        rng = np.random.default_rng(side)
        column = (rng.random((2, side, 3)) > 0.5).astype(np.uint8)
        for array in (column, column.transpose(0, 2, 1)):
            masks = BitmapMasks(np.ascontiguousarray(array), *array.shape[1:])
            size = (new, 5) if array is column else (5, new)
            check_same(cropped(masks).resize(size), masks.resize(size))

    @given(bitmap_masks(), sides, sides)
    def test_resize_with_pillow(self, masks, height, width):
        mmcv.use_backend('pillow')
        try:
            size = (height, width)
            check_same(cropped(masks).resize(size), masks.resize(size))
        finally:
            mmcv.use_backend('cv2')

    @given(bitmap_masks(), sides, sides, st.sampled_from(['bilinear', 'area']))
    def test_resize_otherwise(self, masks, height, width, how):
        size = (height, width)
        check_same(cropped(masks).resize(size, how), masks.resize(size, how))

    @given(
        bitmap_masks(),
        st.one_of(
            st.floats(0.1, 3), st.integers(1, 3), st.tuples(sides, sides)
        ),
    )
    def test_rescale(self, masks, scale):
        if not isinstance(scale, tuple):
            # Below one pixel cv2 refuses.
            least = min(masks.height, masks.width)
            scale = max(scale, 1 / least)
        elif _thin(masks, scale):
            return
        check_same(cropped(masks).rescale(scale), masks.rescale(scale))

    @pytest.mark.parametrize(
        'direction', ['horizontal', 'vertical', 'diagonal']
    )
    @given(masks=bitmap_masks())
    def test_flip(self, direction, masks):
        check_same(cropped(masks).flip(direction), masks.flip(direction))
        assert np.array_equal(
            cropped(masks).flip().to_ndarray(), masks.flip().masks
        )

    @given(bitmap_masks(), st.integers(0, 9), st.integers(0, 9))
    def test_pad(self, masks, more_rows, more_columns):
        size = (masks.height + more_rows, masks.width + more_columns)
        check_same(cropped(masks).pad(size), masks.pad(size))
        check_same(cropped(masks).pad(size, 1), masks.pad(size, 1))

    @given(bitmap_masks(), st.data())
    def test_crop(self, masks, data):
        x0 = data.draw(st.integers(-5, masks.width - 1))
        y0 = data.draw(st.integers(-5, masks.height - 1))
        x1, y1 = (data.draw(st.integers(low, 50)) for low in (x0, y0))
        box = np.array([x0, y0, x1, y1])
        before = box.copy()
        check_same(cropped(masks).crop(box), masks.crop(box))
        assert np.array_equal(box, before)

    @given(bitmap_masks(), *[st.integers(0, 7)] * 4)
    def test_expand(self, masks, top, left, bottom, right):
        size = masks.height + top + bottom, masks.width + left + right
        check_same(
            cropped(masks).expand(*size, top, left),
            masks.expand(*size, top, left),
        )

    @given(
        bitmap_masks(),
        sides,
        sides,
        st.sampled_from(['horizontal', 'vertical', 'both']),
        st.one_of(
            st.integers(-50, 50), st.floats(-9, 9), st.sampled_from([3.0, 0])
        ),
        st.integers(-50, 50),
    )
    def test_translate(self, masks, height, width, direction, offset, down):
        if direction == 'both':
            offset = (offset, down)
        check_same(
            cropped(masks).translate((height, width), offset, direction),
            masks.translate((height, width), offset, direction),
        )

    def test_translate_both_ways_by_one_number(self):
        masks = random_masks(np.random.default_rng(5), 4, *SIZE)
        arguments = (SIZE, 2, 'both')
        check_same(
            cropped(masks).translate(*arguments), masks.translate(*arguments)
        )

    def test_translate_with_a_border(self):
        masks = random_masks(np.random.default_rng(5), 3, *SIZE)
        arguments = (SIZE, 3, 'horizontal', 1)
        check_same(
            cropped(masks).translate(*arguments), masks.translate(*arguments)
        )

    @given(
        bitmap_masks(),
        st.floats(-1.5, 1.5),
        st.sampled_from(['horizontal', 'vertical']),
        st.sampled_from(['nearest', 'bilinear']),
    )
    def test_shear(self, masks, magnitude, direction, how):
        size = masks.height, masks.width
        arguments = (size, magnitude, direction, 0, how)
        check_same(cropped(masks).shear(*arguments), masks.shear(*arguments))

    @given(
        bitmap_masks(),
        st.floats(-180, 180),
        st.floats(0.5, 2),
        st.sampled_from([None, (3.0, 4.5)]),
        st.sampled_from(['nearest', 'bilinear']),
    )
    def test_rotate(self, masks, angle, scale, center, how):
        size = masks.height, masks.width
        arguments = (size, angle, center, scale, 0, how)
        check_same(cropped(masks).rotate(*arguments), masks.rotate(*arguments))

    def test_chain(self):
        rng = np.random.default_rng(4)
        masks = random_masks(rng, 6, 40, 50)
        both = []
        for part in (masks, cropped(masks)):
            part = part.resize((70, 66)).flip('vertical')
            part = part.crop(np.array([5, 8, 60, 61])).pad((64, 64))
            both.append(part.expand(80, 90, 3, 4).rescale(0.37)[[4, 1, 2]])
        check_same(both[1], both[0])

    @pytest.mark.parametrize(
        ('method', 'arguments', 'error'),
        [
            ('flip', ('left',), ValueError),
            ('pad', ((11, 20),), ValueError),
            ('crop', ([0, 0, 3, 3],), TypeError),
            ('crop', (np.array([0.0, 0, 3, 3]),), TypeError),
            ('expand', (20, 20, 9, 0), ValueError),
            ('expand', (20, 20, 0, -1), ValueError),
            ('translate', (SIZE, 2, 'left'), ValueError),
            ('translate', (SIZE, (2, 2), 'vertical'), ValueError),
            ('shear', ((16, 12), 1.0), ValueError),
            ('rotate', ((16, 12), 90), ValueError),
            ('rescale', (0,), ValueError),
        ],
    )
    def test_wrong_arguments(self, method, arguments, error):
        masks = cropped(random_masks(np.random.default_rng(0), 2, *SIZE))
        with pytest.raises(error):
            getattr(masks, method)(*arguments)


def _thin(masks, scale):
    """Whether mmcv would round a side to nothing, which cv2 refuses."""
    size = mmcv.rescale_size((masks.width, masks.height), scale)
    return min(size) < 1


class TestMaskTargets:
    """``crop_and_resize`` against BitmapMasks'; see test_mask_targets."""

    @given(
        bitmap_masks(),
        st.integers(0, 2**32),
        st.integers(0, 9),
        st.sampled_from([(28, 28), (5, 3)]),
        st.booleans(),
    )
    def test_equal(self, masks, seed, count, out_shape, binarize):
        rng = np.random.default_rng(seed)
        corners = rng.uniform(-3, 43, (count, 2, 2))
        if seed % 2:
            corners = np.round(corners)
        boxes = np.sort(corners, 1).reshape(-1, 4).astype(np.float32)
        rows = rng.integers(0, max(len(masks), 1), count)
        ours, theirs = (
            part.crop_and_resize(boxes, out_shape, rows, binarize=binarize)
            for part in (cropped(masks), masks)
        )
        assert type(ours) is BitmapMasks
        assert (ours.height, ours.width) == (theirs.height, theirs.width)
        assert ours.masks.dtype == theirs.masks.dtype
        assert ours.masks.shape == theirs.masks.shape
        if binarize:
            assert np.array_equal(ours.masks, theirs.masks)
        else:
            assert np.abs(ours.masks - theirs.masks).max(initial=0) < 1e-5

    @pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
    def test_tensors(self, dtype):
        rng = np.random.default_rng(6)
        masks = random_masks(rng, 4, 40, 40)
        corners = np.sort(rng.uniform(0, 40, (9, 2, 2)), 1).reshape(-1, 4)
        boxes = torch.tensor(corners, dtype=dtype, requires_grad=True)
        rows = torch.from_numpy(rng.integers(0, 4, 9))
        ours, theirs = (
            part.crop_and_resize(boxes.detach(), (14, 14), rows, 'cpu')
            for part in (cropped(masks), masks)
        )
        assert np.array_equal(ours.masks, theirs.masks)
        graph = cropped(masks).crop_and_resize(boxes, (14, 14), rows)
        assert np.array_equal(graph.masks, theirs.masks)

    def test_only_the_masks_of_boxes_are_rasterised(self, monkeypatch):
        seen = []
        _record(
            monkeypatch,
            'mmcp.structures.mask_items.patch_from_polygons',
            seen,
        )
        masks = CroppedBitmapMasks([Polygons([TRIANGLE])] * 5, *SIZE)
        boxes = np.array([[0, 0, 9, 9]] * 4, np.float32)
        masks.crop_and_resize(boxes, (7, 7), np.array([3, 1, 3, 3]))
        assert len(seen) == 2

    def test_no_array_of_the_size_of_the_image_is_made(self):
        size = 1024
        patch = Patch(100, 200, np.ones((60, 50), np.uint8))
        masks = CroppedBitmapMasks([patch] * 100, size, size)
        boxes = np.array([[90, 190, 155.5, 262]] * 128, np.float32)
        rows = np.arange(128) % 100
        tracemalloc.start()
        masks.crop_and_resize(boxes, (28, 28), rows)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8 * size * size
