"""Instance masks stored as bitmaps inside their own boxes.

:class:`CroppedBitmapMasks` derives from MMDetection's ``BitmapMasks``, so that
code which asks ``isinstance(masks, BitmapMasks)`` takes it. No method of the
parent is left that would work on ``N x H x W`` arrays, but ``masks`` still
gives one on demand. The places in MMDetection that ask for the class or use
``masks``, each tested or equal to one that is:

- ``HorizontalBoxes.from_instance_masks``: reads ``masks``; our ``get_bboxes``
  does not go through it.
- ``DetLocalVisualizer`` and ``mask2ndarray`` (browse_dataset, visualisation
  hook): call ``to_ndarray``.
- ``TrackDataPreprocessor.pad_track_gt_masks``: calls ``pad``.
- ``Albu``: reads ``masks`` and calls the class with full-size arrays.
- ``RandomErasing``: writes into ``masks``.
- ``CopyPaste`` of MMDetection: reads and sets ``masks``.
- ``BitmapMasks.cat`` and ``Detectron2Wrapper``: read ``masks``.

Heads ask for no class. They call ``crop_and_resize`` (mask targets),
``to_tensor`` (SOLO, YOLACT, CondInst, RTMDet-Ins, PointRend, MaskFormer,
Mask2Former), ``pad`` and, in MaskIoU, ``areas``, ``crop`` and indexing.
"""

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import mmcv
import numpy as np
import torch
from mmdet.structures.bbox import BaseBoxes, HorizontalBoxes, get_box_type
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from numpy.typing import NDArray

from mmcp.functional.mask_targets import crop_and_resize_patches
from mmcp.functional.patches import (
    EMPTY,
    Patch,
    boxes_of,
    flip_patch,
    pack_patches,
    patch_from_bitmap,
    resize_patch,
    shift_patch,
    unpack_patches,
    write_patch,
)
from mmcp.functional.polygons import Outlines
from mmcp.structures.mask_items import (
    Item,
    MaskItems,
    MovePatch,
    MovePoints,
    binary,
    owned,
)
from mmcp.structures.polygons import Polygons

__all__ = ['CroppedBitmapMasks']

Mask = NDArray[np.uint8]


class CroppedBitmapMasks(BitmapMasks):  # type: ignore[misc]
    """Masks of N objects; a drop-in for ``BitmapMasks`` that costs less.

    Time and memory follow the objects' boxes instead of ``N x H x W``.
    Polygons and run-length encodings become bitmaps when pixels are first
    asked for, and pixel for pixel those that MMDetection's loading makes;
    selecting, concatenating and :meth:`map_geometry` keep them as they are.
    Methods of ``BitmapMasks`` give what they give there for masks of 0 and 1
    (all that is not 0 counts as 1), but raise ``ValueError`` instead of
    failing an assertion.

    Bitmaps and polygons are never changed in place, so containers share them.
    ``masks`` is the exception: what is written into that array counts from
    then on, as it does with ``BitmapMasks``, and each method reads it anew.

    Args:
        items: N objects, each a ``Patch`` inside the image, a ``Polygons``, a
            COCO run-length encoding (a dict with ``size`` and ``counts``,
            compressed or not) or a full-size mask of shape (H, W). An array
            of shape (N, H, W) is therefore right, too.
        height: Height of the image, H.
        width: Width of the image, W.

    Raises:
        TypeError: If an item is none of these.
        ValueError: If an item does not fit the image.

    Examples:
        >>> square = Polygons([np.array([1.0, 1, 4, 1, 4, 4, 1, 4])])
        >>> masks = CroppedBitmapMasks([square], 5, 6)
        >>> masks.get_bboxes('hbox').tensor.tolist()
        [[1.0, 1.0, 4.0, 4.0]]
        >>> masks.flip('horizontal').to_ndarray()[0, 1].tolist()
        [0, 0, 1, 1, 1, 0]
    """

    def __init__(
        self, items: Iterable[Item | NDArray[Any]], height: int, width: int
    ) -> None:
        self.height = int(height)
        self.width = int(width)
        self._objects = MaskItems(items, height, width)
        self._dense: NDArray[Any] | None = None

    @classmethod
    def from_bitmap_masks(cls, masks: BitmapMasks) -> 'CroppedBitmapMasks':
        """Crops MMDetection's bitmaps; the result shares no memory with them.

        Args:
            masks: N masks of shape (H, W).

        Returns:
            The same masks; the same object if they are cropped already.
        """
        if isinstance(masks, cls):
            return masks
        return cls(masks.masks, masks.height, masks.width)

    @classmethod
    def from_polygon_masks(cls, masks: PolygonMasks) -> 'CroppedBitmapMasks':
        """Takes over MMDetection's polygons, which stay polygons.

        Args:
            masks: N objects. Parts of fewer than three vertices, which hold
                no pixel, are left out.

        Returns:
            Masks equal to ``masks.to_bitmap()``.
        """
        items = []
        for parts in masks.masks:
            arrays = [np.asarray(part, np.float64) for part in parts]
            items.append(Polygons([p.ravel() for p in arrays if p.size >= 6]))
        return cls(items, masks.height, masks.width)

    @classmethod
    def _of(cls, objects: MaskItems) -> 'CroppedBitmapMasks':
        out = cls((), *objects.size)
        out._objects = objects
        return out

    def _with(
        self, patches: Iterable[Patch], size: tuple[int, int] | None = None
    ) -> 'CroppedBitmapMasks':
        """A container of tight patches of 0 and 1 inside their image."""
        size = size or (self.height, self.width)
        return self._of(MaskItems.of_patches(patches, *size))

    # What is stored.

    @property
    def items(self) -> tuple[Item, ...]:
        """The N objects as they are stored, to be read only.

        Polygons and run-length encodings are listed as such even after their
        bitmaps were asked for.
        """
        return tuple(self._now().items)

    def _now(self) -> MaskItems:
        """The objects as they are now; ``masks`` may have been written to."""
        if self._dense is None:
            return self._objects
        patches = [binary(owned(patch_from_bitmap(m))) for m in self._dense]
        return MaskItems.of_patches(patches, self.height, self.width)

    def patches(
        self, rows: Iterable[int] | NDArray[np.integer[Any]] | None = None
    ) -> list[Patch]:
        """Bitmaps of some or all objects; rasterises what is not yet pixels.

        Args:
            rows: Which objects. Defaults to None, which is all.

        Returns:
            Tight patches of 0 and 1, to be read only.
        """
        objects = self._now()
        rows = range(len(objects)) if rows is None else rows
        return [objects.patch(int(row)) for row in rows]

    def rasterised(self) -> 'CroppedBitmapMasks':
        """The same masks as bitmaps only, each in memory of its own.

        What leaves a pipeline should be this: it holds no polygons, no larger
        array stays alive behind it, and it is small to pickle.
        """
        return self._with([owned(patch) for patch in self.patches()])

    def map_geometry(
        self,
        move_points: MovePoints,
        move_patch: MovePatch,
        height: int,
        width: int,
        window: tuple[int, int] | None = None,
    ) -> 'CroppedBitmapMasks':
        """Moves the objects onto another canvas; polygons stay polygons.

        Polygons are moved as such even after they have been rasterised, so
        the result does not depend on what was looked at before.

        Args:
            move_points: Maps vertices of shape (V, 2), ``x, y``, of all
                polygons together, to vertices of the same shape.
            move_patch: Maps the tight patch of an object without polygons to
                one inside the new canvas.
            height: Height of the new canvas.
            width: Width of the new canvas.
            window: Height and width, from the top left, that polygons are cut
                to at the right and below. Defaults to None, meaning that they
                are not cut.

        Returns:
            The moved masks.
        """
        return self._of(
            self._now().mapped(move_points, move_patch, height, width, window)
        )

    def outlines(self) -> Outlines:
        """Where polygons lie and how thick they are, without rasterising.

        Returns:
            Extents and thickness of N objects; what is not polygons has no
            parts in it.
        """
        return self._now().outlines()

    def __copy__(self) -> 'CroppedBitmapMasks':
        """A container of its own with the same masks."""
        return self[:]

    def __deepcopy__(self, memo: dict[int, Any]) -> 'CroppedBitmapMasks':
        """Shares bitmaps and polygons, which are never changed."""
        return self[:]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles bitmaps as bits, and what is not yet pixels as it is."""
        objects = self._now()
        lazy, patches = {}, []
        for row, item in enumerate(objects.items):
            if isinstance(item, Patch):
                patches.append(objects.patch(row))
            else:
                lazy[row] = item
        packed = pack_patches(patches)
        size = self.height, self.width
        return _unpickle, (type(self), *size, lazy, *packed)

    # What it looks like.

    def __len__(self) -> int:
        """Number of masks."""
        return len(self._objects if self._dense is None else self._dense)

    def __repr__(self) -> str:
        """Shows number and size of the masks."""
        return (
            f'{type(self).__name__}(num_masks={len(self)}, '
            f'height={self.height}, width={self.width})'
        )

    def __iter__(self) -> Iterator[Mask]:
        """Gives full-size masks of shape (H, W), one at a time."""
        objects = self._now()
        for row in range(len(objects)):
            canvas = np.zeros((self.height, self.width), np.uint8)
            write_patch(objects.patch(row), canvas)
            yield canvas

    def __getitem__(self, index: Any) -> 'CroppedBitmapMasks':
        """Selects objects.

        Args:
            index: An int, a slice, a list, or a bool or integer array or
                tensor.

        Returns:
            The selected masks; one mask for an int.
        """
        if isinstance(index, torch.Tensor):
            index = index.cpu().numpy()
        rows = np.arange(len(self))[index].reshape(-1).tolist()
        return self._of(self._now().take(rows))

    @property
    def masks(self) -> NDArray[Any]:
        """All masks in one array of shape (N, H, W), uint8, to be written to.

        Made when first asked for and kept, at a cost of ``N * H * W`` bytes:
        use :meth:`to_ndarray` to read and :meth:`patches` to read cheaply.
        """
        if self._dense is None:
            self._dense = self.to_ndarray()
        return self._dense

    @masks.setter
    def masks(self, masks: NDArray[Any]) -> None:
        if masks.shape[1:] != (self.height, self.width):
            raise ValueError(
                f'masks must have the shape (N, {self.height}, {self.width}), '
                f'but have {masks.shape}'
            )
        self._dense = masks

    @property
    def areas(self) -> NDArray[np.uint64]:
        """Pixels of each mask, shape (N,), uint64."""
        return np.array([patch.area for patch in self.patches()], np.uint64)

    def to_ndarray(self) -> Mask:
        """All masks in a new array of shape (N, H, W), uint8."""
        out = np.zeros((len(self), self.height, self.width), np.uint8)
        for patch, canvas in zip(self.patches(), out, strict=True):
            write_patch(patch, canvas)
        return out

    def to_tensor(
        self, dtype: torch.dtype, device: torch.device | str
    ) -> torch.Tensor:
        """All masks in one tensor; only the boxes' content is transferred.

        Args:
            dtype: Type of the tensor.
            device: Where it shall be.

        Returns:
            Tensor of shape (N, H, W).
        """
        shape = (len(self), self.height, self.width)
        out = torch.zeros(shape, dtype=dtype, device=device)
        patches = self.patches()
        flat = [EMPTY.bitmap.reshape(-1)]
        flat += [patch.bitmap.reshape(-1) for patch in patches]
        moved = torch.from_numpy(np.concatenate(flat)).to(device)
        start = 0
        for canvas, patch in zip(out, patches, strict=True):
            x0, y0, x1, y1 = patch.extent
            part = moved[start : start + patch.bitmap.size]
            canvas[y0:y1, x0:x1] = part.view(y1 - y0, x1 - x0)
            start += patch.bitmap.size
        return out

    def to_bitmap_masks(self) -> BitmapMasks:
        """The same masks as MMDetection stores them, in a new array."""
        return BitmapMasks(self.to_ndarray(), self.height, self.width)

    def get_bboxes(
        self, dst_type: str | type[BaseBoxes] = 'hbox'
    ) -> BaseBoxes:
        """Boxes around the masks.

        Args:
            dst_type: Name or class of the boxes; horizontal ones are read off
                the patches. Defaults to 'hbox'.

        Returns:
            N boxes; horizontal ones are ``[x0, y0, x1 + 1, y1 + 1]`` of the
            pixels, and zeros for an empty mask.
        """
        _, box_type = get_box_type(dst_type)
        if box_type is HorizontalBoxes:
            tight = torch.from_numpy(boxes_of(self.patches()))
            return HorizontalBoxes(tight, clone=False)
        return box_type.from_instance_masks(self.to_bitmap_masks())

    @classmethod
    def cat(cls, masks: Sequence[BitmapMasks]) -> 'CroppedBitmapMasks':
        """Concatenates containers of the same image size.

        Args:
            masks: One container or more, ``BitmapMasks`` among them or not.

        Returns:
            All their masks; what is lazy stays lazy.

        Raises:
            ValueError: If there is none or if they differ in size.
        """
        if not len(masks):
            raise ValueError('masks should not be an empty list.')
        sizes = {(part.height, part.width) for part in masks}
        if len(sizes) > 1:
            raise ValueError(
                'only masks of the same height and width can be '
                f'concatenated, but these have {sorted(sizes)}'
            )
        first, *others = (cls.from_bitmap_masks(m)._now() for m in masks)
        return cls._of(first.joined(others))

    # Geometry.

    def rescale(
        self,
        scale: float | tuple[int, int],
        interpolation: str = 'nearest',
    ) -> 'CroppedBitmapMasks':
        """Resizes the masks and keeps their aspect ratio.

        Args:
            scale: Factor, or the largest (h, w), in any order.
            interpolation: As in ``mmcv.imrescale``. Defaults to 'nearest'.

        Returns:
            The resized masks.
        """
        size = mmcv.rescale_size((self.width, self.height), scale)
        return self.resize(size[::-1], interpolation)

    def resize(
        self, out_shape: tuple[int, int], interpolation: str = 'nearest'
    ) -> 'CroppedBitmapMasks':
        """Resizes the masks.

        Args:
            out_shape: New height and width.
            interpolation: As in ``mmcv.imresize``. Others than 'nearest' work
                on whole masks, one at a time. Defaults to 'nearest'.

        Returns:
            The resized masks.
        """
        if interpolation != 'nearest':
            return self._one_by_one(
                out_shape, lambda mask: mask.resize(out_shape, interpolation)
            )
        rows = _nearest(self.height, int(out_shape[0]))
        columns = _nearest(self.width, int(out_shape[1]))
        return self._with(
            [resize_patch(patch, rows, columns) for patch in self.patches()],
            out_shape,
        )

    def flip(self, flip_direction: str = 'horizontal') -> 'CroppedBitmapMasks':
        """Mirrors the masks.

        Args:
            flip_direction: 'horizontal', 'vertical' or 'diagonal'. Defaults
                to 'horizontal'.

        Returns:
            The mirrored masks.
        """
        size = self.height, self.width
        return self._with(
            [flip_patch(p, flip_direction, *size) for p in self.patches()]
        )

    def pad(
        self, out_shape: tuple[int, int], pad_val: float = 0
    ) -> 'CroppedBitmapMasks':
        """Pads the masks at the right and at the bottom.

        Args:
            out_shape: New height and width, not smaller than the old.
            pad_val: Value of the new pixels; if it is not 0 they belong to
                every object. Defaults to 0.

        Returns:
            The padded masks.

        Raises:
            ValueError: If ``out_shape`` is smaller than the masks.
        """
        if out_shape[0] < self.height or out_shape[1] < self.width:
            raise ValueError(
                f'cannot pad masks of {self.height}x{self.width} to the '
                f'smaller size {out_shape[0]}x{out_shape[1]}'
            )
        if pad_val:
            return self._one_by_one(
                out_shape, lambda mask: mask.pad(out_shape, 1)
            )
        return self._with(self.patches(), out_shape)

    def crop(self, bbox: NDArray[Any]) -> 'CroppedBitmapMasks':
        """Cuts out a window; it is clipped to the image first.

        Args:
            bbox: Window of shape (4,), ``xyxy``, integers.

        Returns:
            Masks of the window's size, one pixel at least each way.

        Raises:
            TypeError: If the window is not an array of integers.
        """
        if not isinstance(bbox, np.ndarray):
            raise TypeError(
                f'bbox must be an array, but is {type(bbox).__name__}'
            )
        x0, y0, x1, y1 = (operator.index(value) for value in bbox)
        x0, x1 = (min(max(x, 0), self.width) for x in (x0, x1))
        y0, y1 = (min(max(y, 0), self.height) for y in (y0, y1))
        return self._shift(-x0, -y0, (max(y1 - y0, 1), max(x1 - x0, 1)))

    def _shift(
        self, right: int, down: int, size: tuple[int, int]
    ) -> 'CroppedBitmapMasks':
        moved = [shift_patch(p, right, down, *size) for p in self.patches()]
        return self._with(moved, size)

    def expand(
        self, expanded_h: int, expanded_w: int, top: int, left: int
    ) -> 'CroppedBitmapMasks':
        """Puts the masks onto a larger canvas.

        Args:
            expanded_h: Height of the canvas.
            expanded_w: Width of the canvas.
            top: Row of the old image's first row.
            left: Column of the old image's first column.

        Returns:
            The moved masks.

        Raises:
            ValueError: If the old image does not fit there.
        """
        bottom, right = top + self.height, left + self.width
        if min(top, left) < 0 or bottom > expanded_h or right > expanded_w:
            raise ValueError(
                f'masks of {self.height}x{self.width} at row {top}, column '
                f'{left} do not fit into {expanded_h}x{expanded_w}'
            )
        return self._shift(left, top, (expanded_h, expanded_w))

    def translate(
        self,
        out_shape: tuple[int, int],
        offset: float | tuple[float, float],
        direction: str = 'horizontal',
        border_value: float = 0,
        interpolation: str = 'bilinear',
    ) -> 'CroppedBitmapMasks':
        """Moves the masks on a canvas of another size.

        Args:
            out_shape: Height and width of the canvas. The masks are cut to it
                before they are moved.
            offset: Pixels to the right or down; both for 'both'.
            direction: 'horizontal', 'vertical' or 'both'.
            border_value: Value of pixels from outside. Defaults to 0.
            interpolation: As in ``mmcv.imtranslate``; it matters for
                fractions of pixels only.

        Returns:
            The moved masks.
        """
        right, down = _offsets(offset, direction)
        if border_value or right % 1 or down % 1:
            return self._one_by_one(
                out_shape,
                lambda mask: mask.translate(
                    tuple(out_shape),
                    (right, down),
                    'both',
                    border_value,
                    interpolation,
                ),
            )
        size = int(out_shape[0]), int(out_shape[1])
        return self._shift(0, 0, size)._shift(int(right), int(down), size)

    def shear(
        self,
        out_shape: tuple[int, int],
        magnitude: float,
        direction: str = 'horizontal',
        border_value: float = 0,
        interpolation: str = 'bilinear',
    ) -> 'CroppedBitmapMasks':
        """Shears the masks; works on whole masks, one at a time.

        Args:
            out_shape: Height and width of the masks, which do not change.
            magnitude: Shift a pixel.
            direction: 'horizontal' or 'vertical'.
            border_value: Value of pixels from outside. Defaults to 0.
            interpolation: As in ``mmcv.imshear``. Defaults to 'bilinear'.

        Returns:
            The sheared masks.

        Raises:
            ValueError: If ``out_shape`` is another size.
        """
        self._check_same(out_shape)
        return self._one_by_one(
            out_shape,
            lambda mask: mask.shear(
                out_shape, magnitude, direction, border_value, interpolation
            ),
        )

    def rotate(
        self,
        out_shape: tuple[int, int],
        angle: float,
        center: tuple[float, float] | None = None,
        scale: float = 1.0,
        border_value: float = 0,
        interpolation: str = 'bilinear',
    ) -> 'CroppedBitmapMasks':
        """Rotates the masks; works on whole masks, one at a time.

        Args:
            out_shape: Height and width of the masks, which do not change.
            angle: Degrees, clockwise, as in ``mmcv.imrotate``.
            center: Fixed point ``x, y``. Defaults to None, the image's.
            scale: Factor of the size. Defaults to 1.0.
            border_value: Value of pixels from outside. Defaults to 0.
            interpolation: As in ``mmcv.imrotate``. Defaults to 'bilinear'.

        Returns:
            The rotated masks.

        Raises:
            ValueError: If ``out_shape`` is another size.
        """
        self._check_same(out_shape)
        return self._one_by_one(
            out_shape,
            lambda mask: mask.rotate(
                out_shape, angle, center, scale, border_value, interpolation
            ),
        )

    def _check_same(self, out_shape: tuple[int, int]) -> None:
        if len(self) and tuple(out_shape) != (self.height, self.width):
            raise ValueError(
                f'out_shape must be the size of the masks, '
                f'{self.height}x{self.width}, but is {tuple(out_shape)}'
            )

    def _one_by_one(
        self,
        out_shape: tuple[int, int],
        operation: Callable[[BitmapMasks], BitmapMasks],
    ) -> 'CroppedBitmapMasks':
        """Applies MMDetection's own operation to each whole mask."""
        done = []
        for canvas in self:
            mask = BitmapMasks(canvas[None], self.height, self.width)
            patch = patch_from_bitmap(operation(mask).masks[0])
            done.append(binary(owned(patch)))
        return self._with(done, out_shape)

    def crop_and_resize(
        self,
        bboxes: torch.Tensor | NDArray[Any],
        out_shape: tuple[int, int],
        inds: torch.Tensor | NDArray[Any],
        device: torch.device | str = 'cpu',
        interpolation: str = 'bilinear',
        binarize: bool = True,
    ) -> BitmapMasks:
        """Cuts boxes out of the masks, as targets of a mask head.

        Runs on the CPU, inside the patches, wherever the boxes are: the
        result is an array anyway, and there is little to compute. Equal to
        ``BitmapMasks.crop_and_resize`` on the CPU, see
        :func:`mmcp.functional.mask_targets.crop_and_resize_patches`; on a
        GPU, whose RoIAlign rounds in another way, values within rounding of
        0.5 can differ.

        Args:
            bboxes: Boxes of shape (B, 4), ``xyxy``.
            out_shape: Height and width of the targets, (p, q).
            inds: For each box its mask, shape (B,).
            device: Ignored; of ``BitmapMasks``.
            interpolation: Ignored, as by ``BitmapMasks``.
            binarize: Whether targets are ``value >= 0.5``. Defaults to True.

        Returns:
            B masks of shape (p, q), bool; of the boxes' dtype if not
            ``binarize``.
        """
        boxes, rows = _to_numpy(bboxes), _to_numpy(inds)
        if not len(self) or not len(boxes):
            return BitmapMasks([], *out_shape)
        if boxes.dtype not in (np.float32, np.float64):
            boxes = boxes.astype(np.float32)
        needed, rows = np.unique(rows, return_inverse=True)
        targets = crop_and_resize_patches(
            self.patches(needed),
            boxes,
            rows,
            (int(out_shape[0]), int(out_shape[1])),
            self.height,
            self.width,
            binarize,
        )
        return BitmapMasks(targets, *out_shape)


def _unpickle(
    cls: type[CroppedBitmapMasks],
    height: int,
    width: int,
    lazy: dict[int, Item],
    bits: NDArray[np.uint8],
    extents: NDArray[np.int32],
) -> CroppedBitmapMasks:
    patches = unpack_patches(bits, extents)
    if not lazy:
        return cls._of(MaskItems.of_patches(patches, height, width))
    items: list[Item] = list(patches)
    for row, item in sorted(lazy.items()):
        items.insert(row, item)
    return cls(items, height, width)


def _to_numpy(values: torch.Tensor | NDArray[Any]) -> NDArray[Any]:
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().numpy()
    return np.asarray(values)


def _offsets(
    offset: float | tuple[float, float], direction: str
) -> tuple[float, float]:
    if direction == 'both':
        both = offset if isinstance(offset, tuple) else (offset, offset)
        return both[0], both[1]
    if direction not in ('horizontal', 'vertical') or isinstance(
        offset, tuple
    ):
        raise ValueError(
            "direction must be 'horizontal' or 'vertical' with one offset, or "
            f"'both', but is {direction!r} with {offset!r}"
        )
    return (offset, 0) if direction == 'horizontal' else (0, offset)


def _nearest(length: int, new_length: int) -> NDArray[np.int64]:
    """Which pixel mmcv takes for each pixel of a resized axis.

    Asked of the image library itself, because libraries round differently;
    the two bytes of an index are two images.
    """
    old = np.arange(length)[None]
    high, low = (
        mmcv.imresize(
            byte.astype(np.uint8), (new_length, 1), interpolation='nearest'
        )
        for byte in (old >> 8, old & 255)
    )
    index = (high[0].astype(np.int64) << 8) + low[0]
    return np.asarray(index, np.int64)
