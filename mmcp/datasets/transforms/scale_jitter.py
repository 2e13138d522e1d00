"""Scale jitter as a transform for MMDetection."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmdet.structures.bbox import BaseBoxes, HorizontalBoxes
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from numpy.typing import NDArray

from mmcp.datasets.transforms.postponed_images import are_images_postponed
from mmcp.datasets.transforms.randomness import rng_of
from mmcp.datasets.transforms.shown_arguments import ShownArguments
from mmcp.functional.decoding import LateImage
from mmcp.functional.jitter import (
    JitteredBoxes,
    JitterParams,
    draw_jitter,
    jitter_boxes,
    jitter_homography,
    jitter_patch,
    jitter_points,
    jitter_seg_map,
)
from mmcp.functional.jittered_image import JitteredImage, jitter_image
from mmcp.registry import TRANSFORMS
from mmcp.structures import CroppedBitmapMasks
from mmcp.structures.boxes import replace_boxes, take_boxes

__all__ = ['ScaleJitter']

Results = dict[str, Any]

_ROW_KEYS = ('gt_bboxes_labels', 'gt_ignore_flags', 'gt_instances_ids')
_MAINTAINED = {*_ROW_KEYS, 'gt_bboxes', 'gt_masks', 'gt_seg_map'}
# The normalisation mean in the order of decoded images, BGR.
_GRAY = (104, 116, 124)
_LABEL_OUTSIDE = 255
# A polygon less thick may hold no pixel, so it is rasterised to see.
_SURELY_VISIBLE = 2.0


@TRANSFORMS.register_module()
class ScaleJitter(ShownArguments, BaseTransform):  # type: ignore[misc]
    """Resizes, crops, flips and pads in one step.

    Large (0.1 to 2.0) or standard (0.8 to 1.25) scale jitter of
    `Simple Copy-Paste <https://arxiv.org/abs/2012.07177>`_, section 3: the
    distribution and the pixels of MMDetection's RandomResize with
    ``keep_ratio``, RandomCrop with ``crop_type='absolute'`` and
    ``allow_negative_crop``, RandomFlip and Pad, in this order. Only what
    survives the crop is resized, and the vertices of polygons are moved
    instead of bitmaps. The input dict is not changed.

    An object goes when its box lies outside of the crop or no pixel of its
    mask is left. An ignored object that had no mask before is its box.

    Required Keys:
        - img (H, W) or (H, W, C), of a dtype that OpenCV resizes
        - gt_bboxes (BaseBoxes or ndarray of shape (M, 4), ``xyxy``)
        - gt_masks (CroppedBitmapMasks, BitmapMasks or PolygonMasks)
        - gt_bboxes_labels, gt_ignore_flags, gt_instances_ids (M,)
        - gt_seg_map (H, W)
        - homography_matrix (3, 3)
        - sample_rng (numpy.random.Generator)

        All but ``img`` are optional. Without ``sample_rng`` numpy's global
        state seeds the draws.

    Modified Keys:
        - all of these but ``sample_rng``; ``gt_masks`` become
          CroppedBitmapMasks
        - img_shape, scale, scale_factor, keep_ratio, flip, flip_direction,
          homography_matrix, pad_shape, pad_fixed_size, pad_size_divisor, as
          MMDetection's four transforms leave them

    Args:
        size: Output size, ``(width, height)`` as in MMDetection, or one
            number for a square.
        ratio_range: Least and greatest size of the resized image relative to
            ``size``. Defaults to (0.1, 2.0).
        flip_prob: Probability of a horizontal flip. Defaults to 0.5.
        pad_val: Value of the padding: one number or one a channel for the
            image, or a dict with ``img`` and ``seg`` (255 for maps of labels
            unless given). Defaults to (104, 116, 124), the mean of ImageNet
            in BGR, which becomes 0 in the network.
        recompute_bbox: Which boxes are made from masks. ``'if_cut'``: those
            of objects that the crop cuts; the others keep their annotated
            box. True: all, as RandomCrop's ``recompute_bbox=True``. False:
            none, boxes are clipped. Boxes without masks are always clipped.
            Defaults to 'if_cut'.

    Raises:
        ValueError: If an argument is out of its range, or if annotations
            disagree with each other or would go stale.
        TypeError: If masks are of an unknown kind.

    Examples:
        >>> import numpy as np
        >>> jitter = ScaleJitter(size=(64, 32), ratio_range=(0.8, 1.25))
        >>> jitter({'img': np.zeros((20, 30, 3), np.uint8)})['img'].shape
        (32, 64, 3)
    """

    def __init__(
        self,
        size: int | Sequence[int],
        ratio_range: Sequence[float] = (0.1, 2.0),
        flip_prob: float = 0.5,
        pad_val: float | Sequence[float] | Mapping[str, Any] = _GRAY,
        recompute_bbox: bool | str = 'if_cut',
    ) -> None:
        self.size = _parse_size(size)
        low, high = ratio_range
        if not 0 < low <= high:
            raise ValueError(
                'ratio_range must be (low, high) with 0 < low <= high, but '
                f'is {ratio_range!r}'
            )
        if not 0 <= flip_prob <= 1:
            raise ValueError(
                f'flip_prob must lie in [0, 1], but is {flip_prob}'
            )
        if recompute_bbox not in ('if_cut', True, False):
            raise ValueError(
                "recompute_bbox must be 'if_cut', True or False, but is "
                f'{recompute_bbox!r}'
            )
        self.ratio_range = (float(low), float(high))
        self.flip_prob = flip_prob
        self.pad_val = _parse_pad_val(pad_val)
        self.recompute_bbox = recompute_bbox

    def transform(self, results: Results) -> Results:
        """Draws a jitter and applies it.

        Args:
            results: Results of one image.

        Returns:
            New results.
        """
        return self.apply(results, self.draw(results))

    def draw(self, results: Results) -> JitterParams:
        """Draws a jitter for an image.

        Args:
            results: Results with ``img`` and, maybe, ``sample_rng``.

        Returns:
            The drawn parameters.
        """
        return draw_jitter(
            rng_of(results),
            results['img'].shape[:2],
            self.size[::-1],
            self.ratio_range,
            self.flip_prob,
        )

    def apply(self, results: Results, params: JitterParams) -> Results:
        """Applies a jitter; nothing random happens here.

        Args:
            results: Results of one image.
            params: The jitter.

        Returns:
            New results.
        """
        out = dict(results)
        if results.get('gt_masks') is not None:
            out['gt_masks'] = _as_cropped(results['gt_masks'])
        _check(out)
        out['img'] = self._move_image(results['img'], params)
        if results.get('gt_seg_map') is not None:
            out['gt_seg_map'] = jitter_seg_map(
                results['gt_seg_map'], params, self.pad_val['seg']
            )
        if results.get('gt_bboxes') is not None:
            self._move_objects(out, params)
        out['homography_matrix'] = jitter_homography(
            params, results.get('homography_matrix')
        )
        out.update(
            scale=params.scale[::-1],
            scale_factor=params.scale_factor,
            keep_ratio=True,
            flip=params.flip,
            flip_direction='horizontal' if params.flip else None,
            img_shape=params.output,
            pad_shape=out['img'].shape,
            pad_fixed_size=self.size,
            pad_size_divisor=None,
        )
        return out

    def _move_image(
        self, image: NDArray[Any] | LateImage, params: JitterParams
    ) -> NDArray[Any] | JitteredImage:
        value = self.pad_val['img']
        channels = image.shape[2] if image.ndim == 3 else 1
        if np.size(value) not in (1, channels):
            raise ValueError(
                f'pad_val has {np.size(value)} values for the image, but the '
                f'image has {channels} channels'
            )
        if are_images_postponed():
            return JitteredImage(image, params, value)
        return jitter_image(np.asarray(image), params, value)

    def _move_objects(self, out: Results, params: JitterParams) -> None:
        """Moves boxes and masks and takes out the objects that are gone."""
        boxes, moved = _move_boxes(out['gt_bboxes'], params)
        keep = np.flatnonzero(moved.inside)
        if out.get('gt_masks') is not None:
            before = out['gt_masks'][keep]
            masks = _move_masks(before, params)
            seen = _visible(masks, moved.cut[keep], params)
            if out.get('gt_ignore_flags') is not None:
                ignored = np.asarray(out['gt_ignore_flags'], bool)[keep]
                seen |= _maskless(before, ignored & ~seen)
            if not seen.all():
                keep, masks = keep[seen], masks[seen]
            out['gt_masks'] = masks
        boxes = take_boxes(boxes, keep)
        if out.get('gt_masks') is not None:
            boxes = self._recompute(boxes, masks, moved.cut[keep])
        as_array = isinstance(out['gt_bboxes'], np.ndarray)
        out['gt_bboxes'] = boxes.numpy() if as_array else boxes
        for key in _ROW_KEYS:
            if out.get(key) is not None:
                out[key] = np.asarray(out[key])[keep]

    def _recompute(
        self, boxes: BaseBoxes, masks: CroppedBitmapMasks, cut: NDArray[Any]
    ) -> BaseBoxes:
        """Replaces boxes of cut objects, or all, by those of the masks."""
        if self.recompute_bbox is False:
            return boxes
        wanted = cut if self.recompute_bbox == 'if_cut' else cut | True
        rows = np.flatnonzero(wanted)
        if not len(rows):
            return boxes
        patches = masks.patches(rows)
        rows = rows[[patch.bitmap.size > 0 for patch in patches]]
        if not len(rows):
            return boxes
        tight = masks[rows].get_bboxes(type(boxes))
        return replace_boxes(boxes, rows, tight.numpy())


def _parse_size(size: int | Sequence[int]) -> tuple[int, int]:
    width, height = (size, size) if isinstance(size, int) else size
    if min(width, height) < 1:
        raise ValueError(
            f'size must be (width, height), both > 0, but is {size}'
        )
    return int(width), int(height)


def _parse_pad_val(
    pad_val: float | Sequence[float] | Mapping[str, Any],
) -> dict[str, Any]:
    if not isinstance(pad_val, Mapping):
        pad_val = {'img': pad_val}
    unknown = set(pad_val) - {'img', 'seg', 'masks'}
    if unknown or pad_val.get('masks', 0) != 0:
        raise ValueError(
            "pad_val must be a value for the image or a dict with 'img' and "
            f"'seg' (masks are padded with 0), but is {dict(pad_val)}"
        )
    return {'img': _GRAY, 'seg': _LABEL_OUTSIDE, **pad_val}


def _check(results: Results) -> None:
    """Refuses annotations that disagree or that would go stale."""
    for key, value in results.items():
        annotation = key.startswith(('gt_', 'proposals'))
        if annotation and key not in _MAINTAINED and value is not None:
            raise ValueError(
                f"ScaleJitter cannot move '{key}', which would go stale; "
                'remove it from the pipeline, or use '
                "MMDetection's RandomResize, RandomCrop, RandomFlip and Pad"
            )
    size = results['img'].shape[:2]
    masks, seg_map = results.get('gt_masks'), results.get('gt_seg_map')
    if masks is not None and (masks.height, masks.width) != size:
        _refuse_size('gt_masks', (masks.height, masks.width), size)
    if seg_map is not None and seg_map.shape[:2] != size:
        _refuse_size('gt_seg_map', seg_map.shape[:2], size)
    _check_lengths(results)


def _refuse_size(
    key: str, found: tuple[int, ...], size: tuple[int, int]
) -> None:
    raise ValueError(
        f"the image is {size[0]}x{size[1]}, but '{key}' is "
        f'{found[0]}x{found[1]}; a transform before ScaleJitter changed one '
        'without the other'
    )


def _check_lengths(results: Results) -> None:
    keys = [
        key
        for key in ('gt_bboxes', 'gt_masks', *_ROW_KEYS)
        if results.get(key) is not None
    ]
    lengths = {key: len(results[key]) for key in keys}
    if keys and keys[0] != 'gt_bboxes':
        raise ValueError(
            f"'{keys[0]}' needs 'gt_bboxes', which decide what the crop "
            'keeps; load them with LoadAnnotations(with_bbox=True)'
        )
    if len(set(lengths.values())) > 1:
        raise ValueError(
            f'annotations differ in number: {lengths}; a transform before '
            'ScaleJitter left some of them stale'
        )


def _move_boxes(
    boxes: BaseBoxes | NDArray[Any], params: JitterParams
) -> tuple[BaseBoxes, JitteredBoxes]:
    """All M boxes in the output and what happened to them."""
    if isinstance(boxes, np.ndarray):
        boxes = HorizontalBoxes(boxes.astype(np.float32))
    moved = jitter_boxes(boxes.convert_to('hbox').numpy(), params)
    if isinstance(boxes, HorizontalBoxes):
        tensor = torch.from_numpy(moved.boxes)
        return HorizontalBoxes(tensor, clone=False), moved
    y, x = params.offset
    other = boxes.clone()
    other.rescale_(params.scale_factor)
    other.clip_(params.resized)
    other.translate_((-x, -y))
    other.clip_(params.window)
    inside = other.is_inside(params.window).numpy()
    if params.flip:
        other.flip_(params.window)
    return other, moved._replace(inside=inside)


def _as_cropped(masks: Any) -> CroppedBitmapMasks:
    if isinstance(masks, BitmapMasks):
        return CroppedBitmapMasks.from_bitmap_masks(masks)
    if isinstance(masks, PolygonMasks):
        return CroppedBitmapMasks.from_polygon_masks(masks)
    raise TypeError(
        'gt_masks must be CroppedBitmapMasks, BitmapMasks or PolygonMasks, '
        f'but are {type(masks).__name__}'
    )


def _move_masks(
    masks: CroppedBitmapMasks, params: JitterParams
) -> CroppedBitmapMasks:
    return masks.map_geometry(
        partial(jitter_points, params=params),
        partial(jitter_patch, params=params),
        *params.output,
        window=params.window,
    )


def _visible(
    masks: CroppedBitmapMasks, cut: NDArray[np.bool_], params: JitterParams
) -> NDArray[np.bool_]:
    """Which moved masks have a pixel, rasterising only the doubtful ones."""
    extents, thickness = masks.outlines()
    height, width = params.window
    seen: NDArray[np.bool_] = ~cut & (thickness >= _SURELY_VISIBLE)
    seen &= (extents[:, :2] >= 0).all(1)
    seen &= (extents[:, 2:] <= (width, height)).all(1)
    doubtful = np.flatnonzero(~seen)
    patches = masks.patches(doubtful)
    seen[doubtful] = [patch.bitmap.size > 0 for patch in patches]
    return seen


def _maskless(
    masks: CroppedBitmapMasks, candidates: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Which of the candidates have no pixel at all."""
    if not candidates.any():
        return candidates
    rows = np.flatnonzero(candidates)
    flags = np.zeros(len(candidates), bool)
    flags[rows] = [not patch.bitmap.size for patch in masks.patches(rows)]
    return flags
