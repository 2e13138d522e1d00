"""Instance masks stored inside their own boxes, and how to make them.

A full-size mask costs ``H * W`` bytes however small its object is. Everything
in mmcp that touches instance masks works on patches instead, so that cost
follows the objects' area.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import pycocotools.mask as coco_mask
from numpy.typing import NDArray

from mmcp.functional import native
from mmcp.functional.run_lengths import decode_runs, runs_of, sound_runs

__all__ = [
    'Patch',
    'boxes_of',
    'clip_patch',
    'flip_patch',
    'pack_patches',
    'patch_at',
    'patch_from_bitmap',
    'patch_from_box',
    'patch_from_polygons',
    'patch_from_rle',
    'resize_patch',
    'shift_patch',
    'tighten',
    'unpack_patches',
    'write_patch',
]


class Patch(NamedTuple):
    """One instance mask: a bitmap and where its top-left corner lies.

    Args:
        x: Column of the bitmap's left edge in the image.
        y: Row of the bitmap's top edge in the image.
        bitmap: Mask of shape (h, w), uint8, zero outside the object. Usually
            tight around the object; (0, 0) for an object without pixels.
    """

    x: int
    y: int
    bitmap: NDArray[np.uint8]

    @property
    def extent(self) -> tuple[int, int, int, int]:
        """Half-open pixel range of the bitmap, ``(x0, y0, x1, y1)``."""
        height, width = self.bitmap.shape
        return self.x, self.y, self.x + width, self.y + height

    @property
    def area(self) -> int:
        """Number of mask pixels."""
        return cv2.countNonZero(self.bitmap) if self.bitmap.size else 0


EMPTY = Patch(0, 0, np.zeros((0, 0), np.uint8))


def patch_at(
    x: int, y: int, shape: tuple[int, int], pixels: bytearray
) -> Patch:
    """Takes over the pixels that compiled code made.

    Args:
        x: Column of the left edge.
        y: Row of the top edge.
        shape: Height and width.
        pixels: The bitmap, row by row.

    Returns:
        The patch.
    """
    return Patch(x, y, np.ndarray(shape, np.uint8, pixels))


def tighten(patch: Patch) -> Patch:
    """Crops a patch to its object; the bitmap stays a view.

    Args:
        patch: Any patch.

    Returns:
        The same mask with a tight bitmap, of shape (0, 0) if it has no pixel.
    """
    if not patch.bitmap.size:
        return EMPTY
    x, y, width, height = cv2.boundingRect(patch.bitmap)
    if not width:
        return EMPTY
    bitmap = patch.bitmap[y : y + height, x : x + width]
    return Patch(patch.x + x, patch.y + y, bitmap)


def patch_from_bitmap(mask: NDArray[Any]) -> Patch:
    """Takes the tight patch of a full-size mask.

    Args:
        mask: Mask of shape (H, W), any integer type or bool; what is not zero
            belongs to the object.

    Returns:
        The patch; its bitmap is a view if ``mask`` is uint8.
    """
    if mask.dtype == np.bool_:
        mask = mask.view(np.uint8)
    elif mask.dtype != np.uint8:
        mask = (mask != 0).view(np.uint8)
    return tighten(Patch(0, 0, mask))


def patch_from_box(
    box: Sequence[float] | NDArray[Any],
    height: int,
    width: int,
    cover: bool = True,
) -> Patch:
    """Makes the mask of a box, for data without masks.

    Args:
        box: Box of shape (4,), ``xyxy``, in pixels.
        height: Height of the image, H.
        width: Width of the image, W.
        cover: Whether pixels that the box covers in part belong to it. If
            not, both corners are truncated, as MMDetection does. Defaults to
            True.

    Returns:
        The patch, clipped to the image.
    """
    x0, y0, x1, y1 = (float(value) for value in box)
    if cover:
        x0, y0, x1, y1 = np.floor(x0), np.floor(y0), np.ceil(x1), np.ceil(y1)
    left, right = (int(np.clip(int(x), 0, width)) for x in (x0, x1))
    top, bottom = (int(np.clip(int(y), 0, height)) for y in (y0, y1))
    if right <= left or bottom <= top:
        return EMPTY
    shape = (bottom - top, right - left)
    return Patch(left, top, np.ones(shape, np.uint8))


def patch_from_polygons(
    polygons: Sequence[NDArray[Any] | Sequence[float]],
    height: int,
    width: int,
) -> Patch:
    """Rasterises the polygons of one object inside their box.

    The runs are those of pycocotools on the whole canvas, so the pixels are,
    too; only their decoding stays inside the box.

    Args:
        polygons: Parts of the object, each of shape (2 * vertices,),
            ``x0, y0, x1, y1, ...`` in pixels, three vertices at least.
        height: Height of the image, H.
        width: Width of the image, W.

    Returns:
        The tight patch of the union of all parts.

    Raises:
        ValueError: If a part has fewer than three vertices or an odd number
            of coordinates.
    """
    parts = [np.ascontiguousarray(p, np.float64).ravel() for p in polygons]
    if any(part.size < 6 or part.size % 2 for part in parts):
        raise ValueError(
            'a polygon needs three vertices at least, that is an even number '
            'of 6 or more coordinates; mark other objects as ignored instead'
        )
    if not parts:
        return EMPTY
    if native.compiled is not None:
        made = native.compiled.rasterise(parts, height, width)
        if made is not None:
            return patch_at(*made)
    lists = [part.tolist() for part in parts]
    rles = coco_mask.frPyObjects(lists, height, width)
    rle = rles[0] if len(rles) == 1 else coco_mask.merge(rles)
    return Patch(*decode_runs(runs_of(rle['counts']), height))


def patch_from_rle(rle: dict[str, Any]) -> Patch:
    """Decodes a COCO run-length encoding inside the box of its object.

    Args:
        rle: ``{'size': [H, W], 'counts': ...}`` with counts as a list
            (uncompressed), bytes or str (compressed).

    Returns:
        The tight patch.

    Raises:
        ValueError: If the runs do not add up to the image.
    """
    height, width = rle['size']
    runs = sound_runs(rle, height, width)
    if runs is None:
        raise ValueError(
            f'the runs of an encoding do not fit its size {[height, width]} '
            '(height, width); load it with mmcp.LoadAnnotations, which '
            'ignores such objects'
        )
    return Patch(*decode_runs(runs, height))


def clip_patch(patch: Patch, height: int, width: int) -> Patch:
    """Cuts off what lies outside an image.

    Args:
        patch: A patch with ``x, y >= 0``.
        height: Height of the image, H.
        width: Width of the image, W.

    Returns:
        The same patch if it lies inside, else a tight one of what is left.
    """
    _, _, x1, y1 = patch.extent
    if x1 <= width and y1 <= height:
        return patch
    rows, columns = max(height - patch.y, 0), max(width - patch.x, 0)
    return tighten(patch._replace(bitmap=patch.bitmap[:rows, :columns]))


def shift_patch(
    patch: Patch, right: int, down: int, height: int, width: int
) -> Patch:
    """Moves a patch by whole pixels and cuts off what leaves the canvas.

    Args:
        patch: Any tight patch.
        right: Pixels to the right; negative to the left.
        down: Pixels down; negative up.
        height: Height of the canvas it moves onto, H.
        width: Width of that canvas, W.

    Returns:
        The moved patch, tight; its bitmap may be a view.
    """
    x0, y0, x1, y1 = patch.extent
    left, top = max(x0 + right, 0), max(y0 + down, 0)
    end, bottom = min(x1 + right, width), min(y1 + down, height)
    if end <= left or bottom <= top:
        return EMPTY
    column, row = left - right - x0, top - down - y0
    bitmap = patch.bitmap[
        row : row + bottom - top, column : column + end - left
    ]
    moved = Patch(left, top, bitmap)
    whole = bitmap.shape == patch.bitmap.shape
    return moved if whole else tighten(moved)


def flip_patch(patch: Patch, direction: str, height: int, width: int) -> Patch:
    """Mirrors a patch together with its image.

    Args:
        patch: A patch inside the image.
        direction: ``'horizontal'``, ``'vertical'`` or ``'diagonal'``, which
            is both.
        height: Height of the image, H.
        width: Width of the image, W.

    Returns:
        The mirrored patch, with a bitmap of its own.

    Raises:
        ValueError: If there is no such direction.
    """
    codes = {'horizontal': 1, 'vertical': 0, 'diagonal': -1}
    if direction not in codes:
        raise ValueError(
            f'direction must be one of {list(codes)}, but is {direction!r}'
        )
    if not patch.bitmap.size:
        return patch
    x0, y0, x1, y1 = patch.extent
    x = x0 if direction == 'vertical' else width - x1
    y = y0 if direction == 'horizontal' else height - y1
    bitmap = cv2.flip(patch.bitmap, codes[direction])
    return Patch(x, y, np.asarray(bitmap, np.uint8))


def resize_patch(
    patch: Patch, rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> Patch:
    """Resizes a patch together with its image, taking the nearest pixels.

    Args:
        patch: A patch inside an image of shape (H, W).
        rows: For each row of the resized image the row it is taken from,
            ascending, shape (new H,).
        columns: Likewise for the columns, shape (new W,).

    Returns:
        The resized patch, tight, with a bitmap of its own.
    """
    x0, y0, x1, y1 = patch.extent
    top, bottom = np.searchsorted(rows, (y0, y1)).tolist()
    left, right = np.searchsorted(columns, (x0, x1)).tolist()
    if bottom <= top or right <= left:
        return EMPTY
    bitmap = patch.bitmap[rows[top:bottom] - y0]
    bitmap = bitmap[:, columns[left:right] - x0]
    return tighten(Patch(left, top, bitmap))


def boxes_of(patches: Sequence[Patch]) -> NDArray[np.float32]:
    """Boxes of tight patches, ``[x0, y0, x1 + 1, y1 + 1]`` of their pixels.

    Args:
        patches: M tight patches.

    Returns:
        Boxes of shape (M, 4), ``xyxy``, float32; zeros for an empty patch.
    """
    extents = [patch.extent for patch in patches]
    return np.array(extents, np.float32).reshape(-1, 4)


def write_patch(patch: Patch, canvas: NDArray[Any]) -> None:
    """Writes a patch into a full-size mask of zeros.

    Args:
        patch: A patch inside the canvas.
        canvas: Mask of shape (H, W), changed in place.
    """
    x0, y0, x1, y1 = patch.extent
    canvas[y0:y1, x0:x1] = patch.bitmap


def pack_patches(
    patches: Sequence[Patch],
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Packs patches into two arrays, one bit a pixel, to store or send them.

    Args:
        patches: M patches.

    Returns:
        The bits of all bitmaps, one after the other, shape (bytes,), and the
        patches' extents, shape (M, 4), ``xyxy``.
    """
    extents = np.array([patch.extent for patch in patches], np.int32)
    flat = [patch.bitmap.reshape(-1) for patch in patches]
    bits = np.packbits(np.concatenate(flat)) if flat else np.empty(0, np.uint8)
    return bits, extents.reshape(-1, 4)


def unpack_patches(
    bits: NDArray[np.uint8], extents: NDArray[np.int32]
) -> list[Patch]:
    """Reads what :func:`pack_patches` returned.

    Args:
        bits: Packed bitmaps, shape (bytes,).
        extents: Extents of shape (M, 4), ``xyxy``.

    Returns:
        M patches; their contiguous bitmaps share one buffer.
    """
    sides = extents[:, 2:] - extents[:, :2]
    ends = np.cumsum(sides.prod(1, dtype=np.int64)).tolist()
    flat = np.unpackbits(bits, count=ends[-1] if ends else 0)
    patches = []
    for start, end, extent in zip([0, *ends], ends, extents, strict=False):
        x0, y0, x1, y1 = extent.tolist()
        bitmap = flat[start:end].reshape(y1 - y0, x1 - x0)
        patches.append(Patch(x0, y0, bitmap))
    return patches
