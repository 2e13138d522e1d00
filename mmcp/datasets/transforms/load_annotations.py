"""Loading of annotations that keeps every kind of mask as it is stored."""

import warnings
from collections import defaultdict
from typing import Any

import numpy as np
import torch
from mmdet.datasets.transforms import LoadAnnotations as MMDetLoadAnnotations
from mmdet.structures.bbox import HorizontalBoxes
from numpy.typing import NDArray

from mmcp.functional.patches import Patch, patch_from_bitmap
from mmcp.functional.polygons import sound_parts
from mmcp.functional.run_lengths import is_sound_rle
from mmcp.registry import TRANSFORMS
from mmcp.structures import CroppedBitmapMasks, Polygons

__all__ = ['LoadAnnotations']

Results = dict[str, Any]

_MISSING_MASK = ('ignore', 'box', 'error')
_NO_MASK = Polygons([])


@TRANSFORMS.register_module()
class LoadAnnotations(MMDetLoadAnnotations):  # type: ignore[misc]
    """Loads annotations; masks stay polygons or runs until pixels are needed.

    Drop-in for MMDetection's ``LoadAnnotations`` with the same arguments.
    ``gt_masks`` are always ``CroppedBitmapMasks``, whose pixels are those
    of MMDetection's ``poly2mask=True``, and hold every kind: polygons, COCO
    run-length encodings (compressed or not, crowd or not) and bitmaps.

    A mask that cannot be decoded never stops a training. Parts of fewer than
    three vertices, with an odd number of coordinates, with one that is not
    finite or absurdly far away are left out, as MMDetection leaves out the
    first two. An object of which nothing is left, whose runs do not fit the
    image, or that lies outside of it becomes an ignored object: its box stays
    as an ignored region, its mask is empty. One warning an image file says
    so.

    Required Keys:
        - ori_shape (H, W)
        - instances: list of dicts with ``bbox``, ``bbox_label``,
          ``ignore_flag`` and, optionally, ``mask``; never changed
        - seg_map_path (optional)
        - img_path (optional), named in the warning

    Added Keys:
        - gt_bboxes (BaseBoxes of shape (M, 4), ``xyxy``, or ndarray)
        - gt_bboxes_labels (M,), int64
        - gt_ignore_flags (M,), bool
        - gt_masks (CroppedBitmapMasks), M masks of (H, W)
        - gt_seg_map (H, W), ignore_index

    Args:
        with_mask: Whether to load masks. Defaults to False.
        poly2mask: Of MMDetection; without effect. Defaults to True.
        missing_mask: What to do with an object that has a box only, while
            masks are asked for. ``'ignore'``: as with a broken mask.
            ``'box'``: its box is its mask. ``'error'``: stop.
            Defaults to 'ignore'.
        **kwargs: MMDetection's other arguments: ``with_bbox``,
            ``with_label``, ``with_seg``, ``box_type``,
            ``reduce_zero_label``, ``ignore_index``, ``imdecode_backend`` and
            ``backend_args``.

    Raises:
        ValueError: If an argument is unknown, or if a mask is missing and
            ``missing_mask='error'``.
    """

    def __init__(
        self,
        with_mask: bool = False,
        poly2mask: bool = True,
        *,
        missing_mask: str = 'ignore',
        **kwargs: Any,
    ) -> None:
        super().__init__(with_mask=with_mask, poly2mask=poly2mask, **kwargs)
        if missing_mask not in _MISSING_MASK:
            raise ValueError(
                f'missing_mask must be one of {_MISSING_MASK}, but is '
                f'{missing_mask!r}'
            )
        self.missing_mask = missing_mask
        self._warned: set[str] = set()

    def _load_bboxes(self, results: Results) -> None:
        """Loads horizontal boxes by way of numpy, the others as the parent."""
        if self.box_type != 'hbox':
            super()._load_bboxes(results)
            return
        instances = results.get('instances', [])
        boxes = np.array([i['bbox'] for i in instances], np.float32)
        tensor = torch.from_numpy(boxes.reshape(-1, 4))
        results['gt_bboxes'] = HorizontalBoxes(tensor, clone=False)
        results['gt_ignore_flags'] = _ignore_flags(instances)

    def _load_masks(self, results: Results) -> None:
        """Takes the masks over and ignores objects whose mask is broken."""
        height, width = results['ori_shape']
        instances = results.get('instances', [])
        ignored = _ignore_flags(instances)
        items: list[Any] = []
        problems: dict[str, list[int]] = defaultdict(list)
        for row, instance in enumerate(instances):
            item = self._item_of(instance, height, width)
            if isinstance(item, str):
                # An ignored region needs no mask, so nothing was lost.
                if not ignored[row]:
                    problems[item].append(row)
                item = _NO_MASK
            items.append(item)
        for rows in problems.values():
            ignored[rows] = True
        if problems:
            self._report(results, problems, len(instances))
        results['gt_masks'] = CroppedBitmapMasks(items, height, width)
        results['gt_ignore_flags'] = ignored

    def _item_of(
        self, instance: dict[str, Any], height: int, width: int
    ) -> Polygons | Patch | dict[str, Any] | str:
        """The mask of one object, or in words what is wrong with it."""
        mask = instance.get('mask')
        if isinstance(mask, np.ndarray) and mask.shape == (height, width):
            patch = patch_from_bitmap(mask)
            return patch if patch.bitmap.size else 'empty mask'
        if isinstance(mask, dict):
            sound = is_sound_rle(mask, height, width)
            return mask if sound else 'broken run-length encoding'
        if mask is None or (isinstance(mask, list) and not mask):
            if self.missing_mask == 'box':
                x0, y0, x1, y1 = instance['bbox']
                mask = [[x0, y0, x1, y0, x1, y1, x0, y1]]
            else:
                return 'no mask'
        parts = sound_parts(mask, height, width)
        return Polygons(parts) if parts else 'broken polygons'

    def _report(
        self,
        results: Results,
        problems: dict[str, list[int]],
        num_objects: int,
    ) -> None:
        path = str(results.get('img_path', 'an image without a path'))
        if self.missing_mask == 'error' and 'no mask' in problems:
            raise ValueError(
                f'{path}: objects {problems["no mask"]} of {num_objects} have '
                "no mask; for data without masks leave out 'with_mask' and "
                'set paste_by_box=True of CopyPaste, or choose '
                "missing_mask='ignore' or 'box'"
            )
        if path in self._warned:
            return
        self._warned.add(path)
        found = '; '.join(f'{what}: {rows}' for what, rows in problems.items())
        warnings.warn(
            f'{path}: some of the {num_objects} objects are ignored from now '
            f'on, because their masks cannot be used ({found})',
            stacklevel=2,
        )

    def __repr__(self) -> str:
        """Shows MMDetection's arguments and ours."""
        ours = f', missing_mask={self.missing_mask!r})'
        return f'{super().__repr__()[:-1]}{ours}'


def _ignore_flags(instances: list[dict[str, Any]]) -> NDArray[np.bool_]:
    return np.array([i['ignore_flag'] for i in instances], bool)
