"""Reading and writing the annotations that pasting maintains.

Shapes: M objects of an image, N objects of the source, J joints.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmdet.structures.bbox import BaseBoxes, HorizontalBoxes
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from numpy.typing import NDArray

from mmcp.functional.paste import Cut, covered, paste_image
from mmcp.functional.patches import (
    Patch,
    boxes_of,
    clip_patch,
    patch_from_box,
)
from mmcp.structures import CroppedBitmapMasks
from mmcp.structures.boxes import join_boxes, replace_boxes, take_boxes

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
# What loads an annotation.
_LOADERS = {
    'gt_bboxes': 'LoadAnnotations(with_bbox=True, with_mask=True)',
    'gt_bboxes_labels': 'LoadAnnotations(with_bbox=True, with_mask=True)',
    'gt_seg_map': 'LoadAnnotations(with_seg=True)',
}
# A polygon less thick, in pixels, may hold no pixel.
_SURELY_VISIBLE = 2.0


@dataclass(frozen=True)
class PasteObjects:
    """The annotations of one image in the form that pasting works on.

    Args:
        boxes: M boxes.
        labels: Class indices, shape (M,), int64.
        ignored: Crowd and other ignored objects, shape (M,), bool.
        masks: M masks, rasterised only where something asks for pixels.
    """

    boxes: BaseBoxes
    labels: NDArray[Any]
    ignored: NDArray[np.bool_]
    masks: CroppedBitmapMasks


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
        loader = _LOADERS.get(key, 'what loads it for the other image')
        raise ValueError(
            f"the {which} image has no '{key}'; load it with {loader}"
        )
    return results[key]


def refuse_stale_keys(
    results: Results, transform: str, maintained: Collection[str]
) -> None:
    """Refuses annotations that would be left wrong without a word.

    Args:
        results: Results of the destination image.
        transform: Name of the transform, for the error.
        maintained: Keys that it keeps right.

    Raises:
        ValueError: If there is one; its key is named.
    """
    for key, value in results.items():
        annotation = key.startswith(('gt_', 'proposals'))
        if annotation and key not in maintained and value is not None:
            raise ValueError(
                f"{transform} cannot update '{key}', which would go stale; "
                f'remove it from the pipeline or load it after {transform}'
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
    masks, broken = _read_masks(results, boxes, which, by_box, cover)
    if len({len(boxes), len(labels), len(flags), len(masks)}) > 1:
        raise ValueError(
            f'the {which} image has {len(boxes)} boxes, {len(labels)} '
            f'labels, {len(flags)} ignore flags and {len(masks)} masks; '
            'a transform before CopyPaste left some of them stale'
        )
    ignored = np.array(flags, bool)
    ignored[broken] = True
    return PasteObjects(boxes, labels, ignored, masks)


def _read_masks(
    results: Results, boxes: BaseBoxes, which: str, by_box: bool, cover: bool
) -> tuple[CroppedBitmapMasks, list[int]]:
    """The masks and the rows of those whose polygons are broken."""
    height, width = results['img'].shape[:2]
    masks = results.get('gt_masks')
    if masks is not None:
        _check_masks(masks, (height, width), which)
        return _as_cropped(masks)
    if not by_box:
        raise ValueError(
            f"the {which} image has no 'gt_masks'; load them with "
            'LoadAnnotations(with_bbox=True, with_mask=True), or set '
            'paste_by_box=True for data without masks'
        )
    if not isinstance(boxes, HorizontalBoxes):
        return _as_cropped(boxes.create_masks((height, width)))
    patches = [patch_from_box(b, height, width, cover) for b in boxes.numpy()]
    return CroppedBitmapMasks(patches, height, width), []


def _check_masks(masks: Any, size: tuple[int, int], which: str) -> None:
    if not isinstance(masks, BitmapMasks | PolygonMasks):
        raise TypeError(
            f"the {which} image's gt_masks must be CroppedBitmapMasks, "
            f'BitmapMasks or PolygonMasks, but are {type(masks).__name__}'
        )
    if (masks.height, masks.width) != size:
        raise ValueError(
            f'the {which} image is {size[0]}x{size[1]}, but its masks are '
            f'{masks.height}x{masks.width}; a transform before CopyPaste '
            "changed one without the other (MMDetection's Mosaic and MixUp "
            'do; CachedMosaic and CachedMixUp do not)'
        )


def _as_cropped(
    masks: BitmapMasks | PolygonMasks,
) -> tuple[CroppedBitmapMasks, list[int]]:
    if isinstance(masks, BitmapMasks):
        return CroppedBitmapMasks.from_bitmap_masks(masks), []
    cropped = CroppedBitmapMasks.from_polygon_masks(masks)
    items = enumerate(cropped.items)
    empty = [row for row, item in items if not item.parts]  # type: ignore[union-attr]
    return cropped, empty


def bounds_of(
    masks: CroppedBitmapMasks, exact: bool = False
) -> NDArray[np.int64]:
    """Windows that surely hold the masks.

    Polygons inside the image that surely have pixels are not rasterised.

    Args:
        masks: M masks.
        exact: Whether to rasterise all of them for tight windows. Defaults to
            False.

    Returns:
        Half-open pixel ranges ``x0, y0, x1, y1``, shape (M, 4), int64; an
        empty one exactly where a mask has no pixel.
    """
    bounds = np.zeros((len(masks), 4), np.int64)
    lazy: NDArray[np.bool_] = np.zeros(len(masks), bool)
    if not exact:
        lazy, outlines = _sure_outlines(masks)
        # Rasterising rounds by less than a pixel.
        bounds[lazy] = outlines[lazy] + [-1, -1, 2, 2]
    rows = np.flatnonzero(~lazy)
    extents = [patch.extent for patch in masks.patches(rows)]
    bounds[rows] = np.array(extents, np.int64).reshape(-1, 4)
    return bounds


def _sure_outlines(
    masks: CroppedBitmapMasks,
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Which masks are outlines inside the image, thick enough for a pixel."""
    extents, thickness = masks.outlines()
    sure: NDArray[np.bool_] = thickness >= _SURELY_VISIBLE
    sure &= (extents[:, :2] >= 0).all(1)
    sure &= (extents[:, 2:] <= (masks.width, masks.height)).all(1)
    return sure, extents


def have_pixels(
    masks: CroppedBitmapMasks, size: tuple[int, int]
) -> NDArray[np.bool_]:
    """Says which masks have a pixel inside a window at the top left.

    Args:
        masks: M masks.
        size: Height and width of the window.

    Returns:
        Flags of shape (M,), bool.
    """
    if masks.height > size[0] or masks.width > size[1]:
        patches = [clip_patch(patch, *size) for patch in masks.patches()]
        return np.array([patch.bitmap.size > 0 for patch in patches], bool)
    bounds = bounds_of(masks)
    filled: NDArray[np.bool_] = np.all(bounds[:, :2] < bounds[:, 2:], 1)
    return filled


def take_pasted(
    objects: PasteObjects, rows: Sequence[int], size: tuple[int, int]
) -> tuple[PasteObjects, list[Patch]]:
    """Takes the selected objects, cut to the destination's size.

    Args:
        objects: The source's N objects.
        rows: Rows that were selected.
        size: Height and width of the destination.

    Returns:
        The selected objects and their patches; the box of an object that was
        cut is tight.
    """
    index = np.array(rows, np.int64)
    whole = objects.masks.patches(rows)
    patches = [clip_patch(patch, *size) for patch in whole]
    boxes = take_boxes(objects.boxes, index)
    cut = [a is not b for a, b in zip(patches, whole, strict=True)]
    if any(cut) and isinstance(boxes, HorizontalBoxes):
        changed = np.flatnonzero(cut)
        tight = boxes_of([patches[row] for row in changed])
        boxes = replace_boxes(boxes, changed, tight)
    labels, ignored = objects.labels[index], objects.ignored[index]
    masks = CroppedBitmapMasks(patches, *size)
    return PasteObjects(boxes, labels, ignored, masks), patches


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
        out['gt_bboxes'] = join_boxes(kept, pasted)


def join_masks(
    below: PasteObjects,
    pasted: PasteObjects,
    cut: Cut,
    rows: NDArray[np.int64],
    keep: NDArray[np.bool_],
) -> CroppedBitmapMasks:
    """Masks of the survivors, cut where they lost pixels, and the pasted.

    Args:
        below: The destination's M objects.
        pasted: The pasted objects.
        cut: What became of some of the destination's masks.
        rows: Of which ones.
        keep: Which destination objects survive, shape (M,), bool.

    Returns:
        All masks; those that nothing touched are not rasterised.
    """
    lost = np.flatnonzero(cut.lost)
    size = below.masks.height, below.masks.width
    changed = CroppedBitmapMasks([cut.patches[k] for k in lost], *size)
    every = CroppedBitmapMasks.cat([below.masks, changed, pasted.masks])
    order = np.arange(len(keep))
    order[rows[lost]] = len(keep) + np.arange(len(lost))
    new = len(keep) + len(lost) + np.arange(len(pasted.labels))
    return every[np.concatenate([order[keep], new])]


def put_masks(out: Results, masks: CroppedBitmapMasks) -> None:
    """Stores masks in the kind that was there before.

    Args:
        out: Results to write to. Their masks stay CroppedBitmapMasks if they
            are; BitmapMasks keep their dtype; polygons become BitmapMasks.
        masks: Masks of the surviving and the pasted objects.
    """
    old = out['gt_masks']
    if isinstance(old, CroppedBitmapMasks):
        out['gt_masks'] = masks
        return
    bitmaps = masks.to_bitmap_masks()
    if isinstance(old, BitmapMasks):
        bitmaps.masks = bitmaps.masks.astype(old.masks.dtype, copy=False)
    out['gt_masks'] = bitmaps


def update_seg_map(
    out: Results, source: Results, patches: list[Patch]
) -> None:
    """Copies the source's semantic labels along with its pixels.

    Args:
        out: Results to write to.
        source: Results of the source image.
        patches: Masks of the pasted objects.

    Raises:
        ValueError: If the source has no map, or one that does not fit.
    """
    below = out.get('gt_seg_map')
    if below is None:
        return
    pasted = required(source, 'gt_seg_map', 'source')
    for seg_map, image in ((below, out['img']), (pasted, source['img'])):
        if seg_map.shape[:2] != image.shape[:2]:
            raise ValueError(
                f"a 'gt_seg_map' is {seg_map.shape[:2]}, but its image is "
                f'{image.shape[:2]}; a transform before CopyPaste changed '
                'one without the other'
            )
    labels = pasted.astype(below.dtype)
    if not np.array_equal(labels, pasted):
        raise ValueError(
            f"the source's 'gt_seg_map' has labels that {below.dtype}, the "
            "destination's type, cannot hold; load both alike"
        )
    out['gt_seg_map'] = paste_image(below, labels, patches)


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

    Pasted joints outside of the image are no longer labelled.

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
    fresh = {
        k: np.array(required(source, k, 'source'))[list(rows)] for k in keys
    }
    joints = fresh['gt_keypoints']
    height, width = out['img'].shape[:2]
    cells = np.floor(joints[..., :2])
    outside = (cells < 0).any(-1) | (cells >= (width, height)).any(-1)
    seen = joints[..., 2] if len(keys) == 1 else fresh[keys[1]]
    seen[outside] = 0
    for key, pasted in fresh.items():
        out[key] = np.concatenate([out[key], pasted.astype(out[key].dtype)])
