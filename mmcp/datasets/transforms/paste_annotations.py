"""Reading and writing the annotations that pasting maintains.

Shapes: M objects of an image, N objects of the source, J joints.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmdet.structures.bbox import BaseBoxes, HorizontalBoxes
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from numpy.typing import NDArray

from mmcp.functional.paste import covered, paste_image
from mmcp.functional.patches import (
    Patch,
    boxes_of,
    patch_from_bitmap,
    patch_from_box,
    patch_from_polygons,
    write_patch,
)

Results = dict[str, Any]

# Keys with one row an object, or a map of the image, that pasting maintains.
MAINTAINED_KEYS = {
    'gt_bboxes',
    'gt_bboxes_labels',
    'gt_masks',
    'gt_ignore_flags',
    'gt_seg_map',
    'gt_instances_ids',
    'gt_keypoints',
    'gt_keypoints_visible',
}


@dataclass(frozen=True)
class PasteObjects:
    """The annotations of one image in the form that pasting works on.

    Args:
        boxes: M boxes.
        labels: Class indices, shape (M,), int64.
        ignored: Crowd and other ignored objects, shape (M,), bool.
        patches: M masks.
    """

    boxes: BaseBoxes
    labels: NDArray[Any]
    ignored: NDArray[np.bool_]
    patches: list[Patch]


def required(results: Results, key: str, which: str) -> Any:
    """Takes an annotation that must be there.

    Args:
        results: Results of one image.
        key: Key of the annotation.
        which: What the image is called in an error.

    Returns:
        The annotation.

    Raises:
        ValueError: If it is missing.
    """
    if results.get(key) is None:
        raise ValueError(
            f"the {which} image has no '{key}'; load it with "
            'LoadAnnotations(with_bbox=True, with_mask=True)'
        )
    return results[key]


def refuse_stale_keys(results: Results) -> None:
    """Refuses annotations that pasting would leave wrong without a word.

    Args:
        results: Results of the destination image.

    Raises:
        ValueError: If there is one; its key is named.
    """
    for key, value in results.items():
        annotation = key.startswith(('gt_', 'proposals'))
        if annotation and key not in MAINTAINED_KEYS and value is not None:
            raise ValueError(
                f"CopyPaste cannot update '{key}', which would go stale; "
                'remove it from the pipeline or load it after CopyPaste'
            )


def read_objects(
    results: Results, which: str, by_box: bool, cover: bool
) -> PasteObjects:
    """Reads the annotations of one image and checks that they agree.

    Args:
        results: Results of the image.
        which: What the image is called in an error.
        by_box: Whether boxes stand in for missing masks.
        cover: Whether such a mask holds the pixels that its box covers in
            part.

    Returns:
        The objects. One whose polygons are all broken is ignored.

    Raises:
        ValueError: If annotations are missing or disagree in number or size.
        TypeError: If the masks are of an unknown kind.
    """
    boxes = required(results, 'gt_bboxes', which)
    if isinstance(boxes, np.ndarray):
        boxes = HorizontalBoxes(boxes.astype(np.float32))
    labels = np.asarray(required(results, 'gt_bboxes_labels', which))
    flags = results.get('gt_ignore_flags')
    if flags is None:
        flags = np.zeros(len(labels), bool)
    patches, broken = _read_masks(results, boxes, which, by_box, cover)
    if len({len(boxes), len(labels), len(flags), len(patches)}) > 1:
        raise ValueError(
            f'the {which} image has {len(boxes)} boxes, {len(labels)} '
            f'labels, {len(flags)} ignore flags and {len(patches)} masks; '
            'a transform before CopyPaste left some of them stale'
        )
    ignored = np.array(flags, bool)
    ignored[broken] = True
    return PasteObjects(boxes, labels, ignored, patches)


def _read_masks(
    results: Results, boxes: BaseBoxes, which: str, by_box: bool, cover: bool
) -> tuple[list[Patch], list[int]]:
    """The masks and the rows of those whose polygons are broken."""
    size = results['img'].shape[:2]
    masks = results.get('gt_masks')
    if masks is not None:
        _check_masks(masks, size, which)
        return _patches_of(masks)
    if not by_box:
        raise ValueError(
            f"the {which} image has no 'gt_masks'; load them with "
            'LoadAnnotations(with_bbox=True, with_mask=True), or set '
            'paste_by_box=True for data without masks'
        )
    if isinstance(boxes, HorizontalBoxes):
        height, width = size
        rows = boxes.numpy()
        return [patch_from_box(r, height, width, cover) for r in rows], []
    return _patches_of(boxes.create_masks(size))


def _check_masks(masks: Any, size: tuple[int, int], which: str) -> None:
    if not isinstance(masks, BitmapMasks | PolygonMasks):
        raise TypeError(
            f"the {which} image's gt_masks must be BitmapMasks or "
            f'PolygonMasks, but are {type(masks).__name__}'
        )
    if (masks.height, masks.width) != size:
        raise ValueError(
            f'the {which} image is {size[0]}x{size[1]}, but its masks are '
            f'{masks.height}x{masks.width}; a transform before CopyPaste '
            "changed one without the other (MMDetection's Mosaic and MixUp "
            'do; CachedMosaic and CachedMixUp do not)'
        )


def _patches_of(
    masks: BitmapMasks | PolygonMasks,
) -> tuple[list[Patch], list[int]]:
    if isinstance(masks, BitmapMasks):
        return [patch_from_bitmap(mask) for mask in masks.masks], []
    size = masks.height, masks.width
    valid = [[p for p in parts if len(p) >= 6] for parts in masks.masks]
    patches = [patch_from_polygons(parts, *size) for parts in valid]
    return patches, [row for row, parts in enumerate(valid) if not parts]


def take_pasted(
    objects: PasteObjects, clipped: list[Patch], rows: Sequence[int]
) -> PasteObjects:
    """Takes the selected objects, cut to the destination's size.

    Args:
        objects: The source's N objects.
        clipped: Their N patches after the cut.
        rows: Rows that were selected.

    Returns:
        The selected objects; the box of one that was cut is tight.
    """
    index = np.array(rows, np.int64)
    patches = [clipped[row] for row in rows]
    boxes = objects.boxes[torch.from_numpy(index)]
    cut = [clipped[row] is not objects.patches[row] for row in rows]
    if any(cut) and isinstance(boxes, HorizontalBoxes):
        tight = torch.from_numpy(boxes_of(patches))
        change = torch.tensor(cut)[:, None]
        boxes = HorizontalBoxes(torch.where(change, tight, boxes.tensor))
    return PasteObjects(
        boxes, objects.labels[index], objects.ignored[index], patches
    )


def xyxy(boxes: BaseBoxes) -> NDArray[np.float32]:
    """Boxes of any type as horizontal ones.

    Args:
        boxes: M boxes.

    Returns:
        Shape (M, 4), ``xyxy``, float32.
    """
    return np.asarray(boxes.convert_to('hbox').numpy(), np.float32)


def put_boxes(out: Results, kept: BaseBoxes, pasted: BaseBoxes) -> None:
    """Stores boxes in the kind, array or box type, that was there before.

    Args:
        out: Results to write to.
        kept: Boxes of the surviving destination objects.
        pasted: Boxes of the pasted objects.
    """
    if isinstance(out['gt_bboxes'], np.ndarray):
        dtype = out['gt_bboxes'].dtype
        both = [kept.numpy(), pasted.numpy()]
        out['gt_bboxes'] = np.concatenate(both).astype(dtype)
    else:
        pasted = pasted.convert_to(type(kept))
        out['gt_bboxes'] = kept.cat([kept, pasted])


def to_bitmap_masks(
    patches: list[Patch], height: int, width: int
) -> BitmapMasks:
    """Writes patches out as full-size masks.

    Args:
        patches: M patches inside the image.
        height: Height of the image, H.
        width: Width of the image, W.

    Returns:
        Masks of shape (M, H, W), uint8.
    """
    bitmaps = np.zeros((len(patches), height, width), np.uint8)
    for patch, canvas in zip(patches, bitmaps, strict=True):
        write_patch(patch, canvas)
    return BitmapMasks(bitmaps, height, width)


def put_masks(out: Results, patches: list[Patch]) -> None:
    """Stores masks as bitmaps, in the dtype of those that were there.

    Args:
        out: Results to write to.
        patches: Masks of the surviving and the pasted objects.
    """
    old = out['gt_masks']
    masks = to_bitmap_masks(patches, old.height, old.width)
    if isinstance(old, BitmapMasks):
        masks.masks = masks.masks.astype(old.masks.dtype, copy=False)
    out['gt_masks'] = masks


def update_seg_map(
    out: Results, source: Results, patches: list[Patch]
) -> None:
    """Copies the source's semantic labels along with its pixels.

    Args:
        out: Results to write to.
        source: Results of the source image.
        patches: Masks of the pasted objects.
    """
    if out.get('gt_seg_map') is not None:
        pasted = required(source, 'gt_seg_map', 'source')
        out['gt_seg_map'] = paste_image(out['gt_seg_map'], pasted, patches)


def update_instance_ids(
    out: Results, keep: NDArray[np.bool_], num_pasted: int
) -> None:
    """Gives the pasted objects ids that nobody has.

    Args:
        out: Results to write to.
        keep: Which destination objects survive, shape (M,), bool.
        num_pasted: How many objects were pasted.
    """
    if out.get('gt_instances_ids') is not None:
        ids = np.asarray(out['gt_instances_ids'])
        fresh = ids.max(initial=-1) + 1 + np.arange(num_pasted)
        both = [ids[keep], fresh.astype(ids.dtype)]
        out['gt_instances_ids'] = np.concatenate(both)


def update_keypoints(
    out: Results,
    source: Results,
    keep: NDArray[np.bool_],
    rows: Sequence[int],
    union: Patch,
) -> None:
    """Appends the pasted joints; a covered visible joint becomes hidden.

    COCO's visibility: 0 not labelled, 1 labelled but hidden, 2 visible.

    Args:
        out: Results to write to, with ``gt_keypoints`` of shape (M, J, 3), or
            of shape (M, J, 2) and ``gt_keypoints_visible`` (M, J).
        source: Results of the source image.
        keep: Which destination objects survive, shape (M,), bool.
        rows: Rows of the source's objects that were pasted.
        union: Union of the pasted masks.

    Raises:
        ValueError: If the visibility, or the source's joints, are missing.
    """
    if out.get('gt_keypoints') is None:
        return
    keys = ['gt_keypoints']
    if out.get('gt_keypoints_visible') is not None:
        keys.append('gt_keypoints_visible')
    elif out['gt_keypoints'].shape[-1] != 3:
        raise ValueError(
            "'gt_keypoints' of shape (M, J, 2) need 'gt_keypoints_visible'"
        )
    for key in keys:
        out[key] = np.array(out[key])[keep]
    points = out['gt_keypoints']
    visible = points[..., 2] if len(keys) == 1 else out[keys[1]]
    visible[covered(points[..., :2], union) & (visible == 2)] = 1
    for key in keys:
        pasted = np.asarray(required(source, key, 'source'))[list(rows)]
        out[key] = np.concatenate([out[key], pasted.astype(out[key].dtype)])
