"""Objects of one image, each kept as it was annotated until seen as pixels."""

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmcp.functional.patches import (
    Patch,
    patch_from_bitmap,
    patch_from_polygons,
    patch_from_rle,
    tighten,
)
from mmcp.functional.polygons import (
    Outlines,
    clip_parts,
    measure_outlines,
)
from mmcp.structures.polygons import Polygons

__all__ = [
    'Item',
    'MaskItems',
    'MovePatch',
    'MovePoints',
    'Rle',
    'binary',
    'owned',
]

Rle = dict[str, Any]
Item = Patch | Polygons | Rle
MovePoints = Callable[[NDArray[np.float64]], NDArray[np.float64]]
MovePatch = Callable[[Patch], Patch]


class MaskItems:
    """N objects, rasterised one by one when first asked for.

    An item stays what it is beside its cached bitmap, so that moving the
    objects does not depend on what was looked at before. Nothing is changed
    in place; containers share items and bitmaps.

    Args:
        items: Patches, polygons, run-length encodings or full-size masks of
            shape (H, W), which are copied.
        height: Height of the image, H.
        width: Width of the image, W.

    Raises:
        TypeError: If an item is none of these.
        ValueError: If an item does not fit the image.
    """

    def __init__(
        self, items: Iterable[Item | NDArray[Any]], height: int, width: int
    ) -> None:
        self.size = int(height), int(width)
        self.items = [self._checked(item) for item in items]
        self._cache: list[Patch | None] = [None] * len(self.items)
        self._outlines: Outlines | None = None

    @classmethod
    def of_patches(
        cls, patches: Iterable[Patch], height: int, width: int
    ) -> 'MaskItems':
        """Takes patches that are known to be tight, 0 or 1, and inside."""
        out = cls((), height, width)
        out.items = list(patches)
        out._cache = list(out.items)  # type: ignore[arg-type]
        return out

    def _checked(self, item: Item | NDArray[Any]) -> Item:
        """Refuses what does not fit the image."""
        if isinstance(item, np.ndarray) and item.shape == self.size:
            return owned(patch_from_bitmap(item))
        if isinstance(item, Patch):
            self._check_inside(item)
            return item
        if isinstance(item, Polygons):
            return item
        if isinstance(item, dict) and {'size', 'counts'} <= item.keys():
            if tuple(item['size']) == self.size:
                return item
            raise ValueError(
                f'a run-length encoding has the size {tuple(item["size"])}, '
                f'but its image is {self.size} (height, width)'
            )
        shape = f' of shape {item.shape}' if hasattr(item, 'shape') else ''
        raise TypeError(
            'an item must be a Patch, Polygons, a run-length encoding or a '
            f'mask of shape {self.size}, but one is '
            f'{type(item).__name__}{shape}'
        )

    def _check_inside(self, patch: Patch) -> None:
        height, width = self.size
        x0, y0, x1, y1 = patch.extent
        inside = x0 >= 0 <= y0 and x1 <= width and y1 <= height
        if patch.bitmap.size and not inside:
            raise ValueError(
                f'a patch reaches from {(x0, y0)} to {(x1, y1)}, outside of '
                f'its image of width {width} and height {height}'
            )

    def __len__(self) -> int:
        """Number of objects."""
        return len(self.items)

    def patch(self, row: int) -> Patch:
        """Bitmap of one object, tight, 0 or 1."""
        patch = self._cache[row]
        if patch is None:
            patch = self._cache[row] = self._rasterise(self.items[row])
        return patch

    def _rasterise(self, item: Item) -> Patch:
        if isinstance(item, Patch):
            return binary(tighten(item))
        if isinstance(item, Polygons):
            return patch_from_polygons(item.parts, *self.size)
        return patch_from_rle(item)

    def take(self, rows: Sequence[int]) -> 'MaskItems':
        """Selects objects without rasterising them."""
        out = type(self)((), *self.size)
        out.items = [self.items[row] for row in rows]
        out._cache = [self._cache[row] for row in rows]
        if self._outlines is not None:
            out._outlines = self._outlines.take(rows)
        return out

    def joined(self, others: Iterable['MaskItems']) -> 'MaskItems':
        """Appends the objects of images of the same size."""
        out = self.take(range(len(self)))
        out._outlines = None
        for other in others:
            out.items += other.items
            out._cache += other._cache
        return out

    def outlines(self) -> Outlines:
        """Extents and thickness of the polygons; see :class:`Outlines`."""
        if self._outlines is None:
            parts = [getattr(item, 'parts', ()) for item in self.items]
            self._outlines = measure_outlines(parts)
        return self._outlines

    def mapped(
        self,
        move_points: MovePoints,
        move_patch: MovePatch,
        height: int,
        width: int,
        window: tuple[int, int] | None,
    ) -> 'MaskItems':
        """See :meth:`CroppedBitmapMasks.map_geometry`."""
        moved: list[Item] = list(self.items)
        outlined = []
        for row, item in enumerate(self.items):
            if isinstance(item, Polygons):
                outlined.append((row, item.parts))
            else:
                moved[row] = move_patch(self.patch(row))
        flat = [part for _, parts in outlined for part in parts]
        rest = iter(_move_parts(flat, move_points, window) if flat else ())
        for row, parts in outlined:
            moved[row] = Polygons(list(islice(rest, len(parts))))
        out = type(self)((), height, width)
        out.items = moved
        out._cache = [None] * len(moved)
        return out


def _move_parts(
    parts: Sequence[NDArray[np.float64]],
    move_points: MovePoints,
    window: tuple[int, int] | None,
) -> list[NDArray[np.float64]]:
    """Moves polygons and cuts them to a window at the top left."""
    points = move_points(np.concatenate(parts).reshape(-1, 2))
    ends = list(accumulate(map(len, parts)))
    flat = points.reshape(-1)
    moved = [flat[a:b] for a, b in zip([0, *ends], ends, strict=False)]
    return moved if window is None else clip_parts(moved, *window[::-1])


def binary(patch: Patch) -> Patch:
    """Makes every value that is not zero a one.

    Args:
        patch: Any patch.

    Returns:
        The same patch if it has no other value.
    """
    if patch.bitmap.max(initial=0) <= 1:
        return patch
    return patch._replace(bitmap=np.minimum(patch.bitmap, 1))


def owned(patch: Patch) -> Patch:
    """Gives a bitmap contiguous memory of its own.

    Args:
        patch: Any patch.

    Returns:
        The same patch if its bitmap has that.
    """
    bitmap = patch.bitmap
    own = bitmap.base is None or isinstance(bitmap.base, bytearray)
    if own and bitmap.flags.c_contiguous:
        return patch
    return patch._replace(bitmap=bitmap.copy('C'))
