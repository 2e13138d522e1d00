"""Simple Copy-Paste as a transform for MMDetection."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmdet.structures.bbox import BaseBoxes, HorizontalBoxes
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from numpy.typing import NDArray

from mmcp.datasets.class_weights import Class, ClassWeights
from mmcp.functional.paste import (
    Cut,
    DropPolicy,
    covered,
    cut_patches,
    draw_count,
    draw_selection,
    paste_image,
    union_of,
    update_boxes,
)
from mmcp.functional.patches import (
    Patch,
    boxes_of,
    clip_patch,
    patch_from_bitmap,
    patch_from_box,
    patch_from_polygons,
    write_patch,
)
from mmcp.registry import TRANSFORMS

Results = dict[str, Any]

# Keys with one row an object, or a map of the image, that pasting maintains.
_MAINTAINED = {
    'gt_bboxes',
    'gt_bboxes_labels',
    'gt_masks',
    'gt_ignore_flags',
    'gt_seg_map',
    'gt_instances_ids',
    'gt_keypoints',
    'gt_keypoints_visible',
}
_BOX_UPDATES = ('if_changed', 'always', 'threshold')
_UNBOUNDED = 1 << 30
_COUNTS = {
    'random': (0, _UNBOUNDED),
    'one': (1, 1),
    'all': (_UNBOUNDED, _UNBOUNDED),
}


@dataclass(frozen=True)
class PasteParams:
    """Everything random about one paste.

    Args:
        selected: Rows of the source's objects that are pasted, in the order
            in which they are appended.
    """

    selected: tuple[int, ...]


@dataclass(frozen=True)
class _Objects:
    """The annotations of one image, in the form that pasting works on."""

    boxes: BaseBoxes
    labels: NDArray[Any]
    ignored: NDArray[np.bool_]
    patches: list[Patch]


@TRANSFORMS.register_module()
class CopyPaste(BaseTransform):  # type: ignore[misc]
    """Pastes objects of a second image onto this one.

    Drop-in for MMDetection's ``CopyPaste`` inside ``MultiImageMixDataset``;
    implements `Simple Copy-Paste <https://arxiv.org/abs/2012.07177>`_,
    section 3. Selected objects land at their own coordinates; destination
    masks lose the pasted pixels, boxes of the objects that lost some are
    tightened and fully hidden objects are removed. Images of different size
    are aligned at the top left. The input dict is not changed.

    Required Keys:
        - img (H, W) or (H, W, C), any dtype, kept
        - mix_results: list with the source's results, one dict
        - gt_bboxes (HorizontalBoxes or ndarray of shape (M, 4), ``xyxy``)
        - gt_bboxes_labels (M,), int64
        - gt_masks (BitmapMasks or PolygonMasks), unless ``paste_by_box``
        - gt_ignore_flags (M,), bool (optional)
        - gt_seg_map (H, W), gt_instances_ids (M,), gt_keypoints (M, J, 3) or
          gt_keypoints (M, J, 2) and gt_keypoints_visible (M, J) (optional)

    Modified Keys:
        - all of these; ``mix_results`` is removed. ``gt_masks`` becomes
          BitmapMasks when something was pasted. Surviving destination
          objects come first, in their order, then the pasted ones.

    Args:
        max_num_pasted: Most objects pasted, inclusive. Defaults to 100.
        bbox_occluded_thr: MMDetection's name. In pixels; giving it or the
            next selects ``drop='mmdet'``. Also the threshold of
            ``box_update='threshold'``. Defaults to None, meaning 10.
        mask_occluded_thr: MMDetection's name. In pixels of area. Defaults to
            None, meaning 300.
        selected: MMDetection's name: ``selected=False`` is
            ``num_pasted='all'``. Defaults to True.
        paste_by_box: Whether boxes stand in for masks where ``gt_masks`` is
            missing. The result then has no masks either. Defaults to False.
        num_pasted: How many of the source's N objects are pasted.
            ``'random'``: uniform over 0..N with both ends; ``'one'``;
            ``'all'``; or ``(low, high)``, uniform with both ends, where a
            ``high`` of None means N: ``(1, None)`` is what the paper's
            released code does. Defaults to 'random'.
        blend: ``'none'`` or ``'gaussian'``. Labels always use the hard
            masks. Defaults to 'none'.
        blend_sigma: Standard deviation of the Gaussian in pixels. Defaults to
            2.0.
        box_update: ``'if_changed'``, ``'always'`` (as MMDetection) or
            ``'threshold'`` (as the released code), see
            :func:`mmcp.functional.paste.update_boxes`. Defaults to
            'if_changed'.
        drop: Which partly hidden objects go, besides the fully hidden ones.
            None: no other (the paper). ``'mmdet'``: those that have a
            coordinate moved by more than ``bbox_occluded_thr`` and not more
            than ``mask_occluded_thr`` visible pixels. A dict with
            ``min_visible_ratio`` or ``min_area`` (pixels) or both: those
            below. Defaults to None.
        dropped: ``'remove'``, or ``'ignore'`` to keep what is dropped while
            still partly visible as an ignored region. Defaults to 'remove'.
        paste_crowd: Whether crowd and ignored source objects may be pasted.
            Defaults to False.
        prob: Probability that anything is pasted. Defaults to 1.0.
        class_weights: Sampling weights of objects by class, a dict from class
            index or name to weight (others weigh 1) or a sequence with one
            weight a class. Defaults to None.
        allow: Classes, by index or name, that may be pasted. Defaults to
            None, meaning all.
        deny: Classes that may not be pasted. Defaults to None.
        compat: ``'mmdet'`` reproduces MMDetection 3.3's image values, masks
            and random draws, its defects included (crowd is pasted, the cap
            is exclusive, hidden objects survive in the top-left corner);
            the image keeps its dtype all the same. Defaults to None.

    Raises:
        ValueError: If an argument is out of its range, or if the results lack
            masks, or hold a ``gt_*`` key that pasting would make stale.
        TypeError: If images or masks are of a kind that cannot be pasted.

    Examples:
        >>> from mmcp.registry import TRANSFORMS
        >>> paste = dict(type='mmcp.CopyPaste', max_num_pasted=20)
        >>> TRANSFORMS.build(paste).max_num_pasted
        20
    """

    def __init__(
        self,
        max_num_pasted: int = 100,
        bbox_occluded_thr: float | None = None,
        mask_occluded_thr: float | None = None,
        selected: bool = True,
        paste_by_box: bool = False,
        *,
        num_pasted: str | Sequence[int | None] = 'random',
        blend: str = 'none',
        blend_sigma: float = 2.0,
        box_update: str = 'if_changed',
        drop: str | Mapping[str, float] | None = None,
        dropped: str = 'remove',
        paste_crowd: bool = False,
        prob: float = 1.0,
        class_weights: Mapping[Class, float] | Sequence[float] | None = None,
        allow: Sequence[Class] | None = None,
        deny: Sequence[Class] | None = None,
        compat: str | None = None,
    ) -> None:
        _check_choice('blend', blend, ('none', 'gaussian'))
        _check_choice('box_update', box_update, _BOX_UPDATES)
        _check_choice('dropped', dropped, ('remove', 'ignore'))
        _check_choice('compat', compat, (None, 'mmdet'))
        if blend_sigma <= 0:
            raise ValueError(f'blend_sigma must be > 0, but is {blend_sigma}')
        if not 0 <= prob <= 1:
            raise ValueError(f'prob must lie in [0, 1], but is {prob}')
        if max_num_pasted < 0:
            raise ValueError(
                f'max_num_pasted must be >= 0, but is {max_num_pasted}'
            )
        self.max_num_pasted = max_num_pasted
        self.bbox_occluded_thr = bbox_occluded_thr
        self.mask_occluded_thr = mask_occluded_thr
        self.selected = selected
        self.paste_by_box = paste_by_box
        self.num_pasted = num_pasted if selected else 'all'
        self.blend = blend
        self.blend_sigma = blend_sigma
        self.box_update = box_update if compat is None else 'always'
        self.drop = drop
        if {bbox_occluded_thr, mask_occluded_thr} != {None} or compat:
            self.drop = drop or 'mmdet'
        self.dropped = dropped
        self.paste_crowd = paste_crowd
        self.prob = prob
        self.class_weights = class_weights
        self.allow = allow
        self.deny = deny
        self.compat = compat
        self._count = _parse_count(self.num_pasted)
        self._shift = 10.0 if bbox_occluded_thr is None else bbox_occluded_thr
        self._policy = self._make_policy()
        self._weights = ClassWeights(class_weights, allow, deny)

    def _make_policy(self) -> DropPolicy:
        if self.drop is None:
            return DropPolicy()
        if self.drop == 'mmdet':
            area = self.mask_occluded_thr
            return DropPolicy(
                max_shift=self._shift,
                area_over=300.0 if area is None else area,
                min_area=0 if self.compat else 1,
            )
        if isinstance(self.drop, Mapping):
            unknown = set(self.drop) - {'min_visible_ratio', 'min_area'}
            if not unknown:
                return DropPolicy(**self.drop)  # type: ignore[arg-type]
        raise ValueError(
            "drop must be None, 'mmdet' or a dict with min_visible_ratio or "
            f'min_area, but is {self.drop!r}'
        )

    def get_indexes(self, dataset: Any) -> int:
        """Draws the source image; ``MultiImageMixDataset`` calls this.

        Args:
            dataset: The wrapped data set.

        Returns:
            An index into it.
        """
        if not self._weights.trivial:
            self._weights.resolve(dataset.metainfo['classes'])
        return int(np.random.randint(0, len(dataset)))  # noqa: NPY002

    def transform(self, results: Results) -> Results:
        """Pastes objects of ``mix_results[0]`` onto the image.

        Args:
            results: Results of the destination, with ``mix_results``.

        Returns:
            New results; the same objects as before if nothing was pasted.
        """
        source = _source_of(results)
        destination = {k: v for k, v in results.items() if k != 'mix_results'}
        if not len(_required(source, 'gt_bboxes', 'source')):
            return destination
        size = destination['img'].shape[:2]
        objects = self._read(source, 'source')
        if 'gt_masks' in destination and 'gt_masks' not in source:
            raise ValueError(
                "only one of the two images has 'gt_masks'; paste_by_box=True "
                'needs both without, or boxes would be learnt as masks'
            )
        clipped = [clip_patch(patch, *size) for patch in objects.patches]
        params = self.draw(objects, clipped)
        if not params.selected:
            return destination
        pasted = _take(objects, clipped, params)
        return self._apply(destination, source, pasted, params)

    def draw(self, objects: '_Objects', clipped: list[Patch]) -> PasteParams:
        """Draws what is pasted, from numpy's global random state.

        Args:
            objects: The source's N objects.
            clipped: Their N patches, cut to the destination's size.

        Returns:
            The drawn parameters.
        """
        if self.compat:
            return self._draw_as_mmdet(len(objects.labels))
        rng = _worker_rng()
        if self.prob < 1 and rng.random() >= self.prob:
            return PasteParams(())
        weights = self._weights.of(objects.labels)
        weights[[not patch.bitmap.size for patch in clipped]] = 0
        if not self.paste_crowd:
            weights[objects.ignored] = 0
        candidates = min(np.count_nonzero(weights), self.max_num_pasted)
        count = draw_count(rng, *self._count, candidates)
        return PasteParams(draw_selection(rng, weights, count))

    def _draw_as_mmdet(self, num_objects: int) -> PasteParams:
        if not self.selected:
            return PasteParams(tuple(range(num_objects)))
        high = min(num_objects + 1, self.max_num_pasted)
        count = np.random.randint(0, high)  # noqa: NPY002
        drawn = np.random.choice(  # noqa: NPY002
            num_objects, size=count, replace=False
        )
        return PasteParams(tuple(drawn.tolist()))

    def _apply(
        self,
        destination: Results,
        source: Results,
        pasted: '_Objects',
        params: PasteParams,
    ) -> Results:
        """Pastes the selected objects; nothing random happens here."""
        _refuse_stale_keys(destination)
        below = self._read(destination, 'destination')
        union = union_of(pasted.patches)
        cut = cut_patches(below.patches, union)
        keep, ignored = self._survivors(below, cut)
        boxes = self._move_boxes(below.boxes, cut, destination['img'].shape)
        out = dict(destination)
        sigma = self.blend_sigma if self.blend == 'gaussian' else 0.0
        out['img'] = paste_image(
            destination['img'], source['img'], pasted.patches, sigma
        )
        _put_boxes(out, boxes[torch.from_numpy(keep)], pasted.boxes)
        out['gt_bboxes_labels'] = np.concatenate(
            [below.labels[keep], pasted.labels]
        )
        out['gt_ignore_flags'] = np.concatenate(
            [ignored[keep], pasted.ignored]
        )
        if destination.get('gt_masks') is not None:
            kept = [cut.patches[row] for row in np.flatnonzero(keep)]
            _put_masks(out, [*kept, *pasted.patches])
        _update_seg_map(out, source, pasted.patches)
        _update_instance_ids(out, keep, len(params.selected))
        _update_keypoints(out, source, keep, params, union)
        return out

    def _read(self, results: Results, which: str) -> '_Objects':
        """Reads the annotations of one image and checks that they agree."""
        boxes = _required(results, 'gt_bboxes', which)
        if isinstance(boxes, np.ndarray):
            boxes = HorizontalBoxes(boxes.astype(np.float32))
        labels = _required(results, 'gt_bboxes_labels', which)
        flags = results.get('gt_ignore_flags')
        if flags is None:
            flags = np.zeros(len(labels), bool)
        size = results['img'].shape[:2]
        if results.get('gt_masks') is not None:
            patches, invalid = _patches_of(results['gt_masks'], size, which)
        elif self.paste_by_box:
            patches, invalid = self._patches_of_boxes(boxes, size), []
        else:
            raise ValueError(
                f"the {which} image has no 'gt_masks'; load them with "
                'LoadAnnotations(with_bbox=True, with_mask=True), or set '
                'paste_by_box=True for data without masks'
            )
        lengths = {len(boxes), len(labels), len(flags), len(patches)}
        if len(lengths) > 1:
            raise ValueError(
                f'the {which} image has {len(boxes)} boxes, {len(labels)} '
                f'labels, {len(flags)} ignore flags and {len(patches)} masks; '
                'a transform before CopyPaste left some of them stale'
            )
        ignored = np.array(flags, bool)
        ignored[invalid] = True
        return _Objects(boxes, np.asarray(labels), ignored, patches)

    def _patches_of_boxes(
        self, boxes: BaseBoxes, size: tuple[int, int]
    ) -> list[Patch]:
        if not isinstance(boxes, HorizontalBoxes):
            masks = boxes.create_masks(size).masks
            return [patch_from_bitmap(mask) for mask in masks]
        cover = self.compat is None
        return [patch_from_box(box, *size, cover) for box in boxes.numpy()]

    def _survivors(
        self, below: '_Objects', cut: Cut
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which destination objects stay, and which of them are ignored."""
        if self.compat:
            return self._survivors_as_mmdet(below, cut), below.ignored
        good = self._policy.keeps(_xyxy(below.boxes), cut)
        # An ignored region without a mask is its box; nothing can hide it.
        seen = ~cut.lost & below.ignored
        seen |= np.array([p.bitmap.size > 0 for p in cut.patches], bool)
        if self.dropped == 'remove':
            return seen & good, below.ignored
        return seen, below.ignored | ~good

    def _survivors_as_mmdet(
        self, below: '_Objects', cut: Cut
    ) -> NDArray[np.bool_]:
        area = np.array([patch.area for patch in cut.patches], np.int64)
        everywhere = np.ones(len(area), bool)
        return self._policy.keeps(
            _xyxy(below.boxes), cut._replace(area=area, lost=everywhere)
        )

    def _move_boxes(
        self, boxes: BaseBoxes, cut: Cut, size: tuple[int, ...]
    ) -> BaseBoxes:
        if isinstance(boxes, HorizontalBoxes):
            moved = update_boxes(
                boxes.numpy(), cut, self.box_update, self._shift
            )
            return HorizontalBoxes(moved)
        if self.box_update != 'if_changed' or self.drop == 'mmdet':
            raise TypeError(
                "box_update='always' or 'threshold' and drop='mmdet' compare "
                'horizontal boxes; other box types need their defaults'
            )
        rows = np.flatnonzero(cut.lost)
        masks = _to_bitmaps([cut.patches[row] for row in rows], *size[:2])
        tensor = boxes.tensor.clone()
        tensor[rows] = type(boxes).from_instance_masks(masks).tensor
        return type(boxes)(tensor)

    def __repr__(self) -> str:
        """Shows every argument with its value."""
        names = inspect.signature(type(self)).parameters
        values = ', '.join(f'{name}={getattr(self, name)!r}' for name in names)
        return f'{type(self).__name__}({values})'


def _worker_rng() -> np.random.Generator:
    """A generator that follows the global state, which mmengine seeds."""
    seed = np.random.randint(1 << 32, size=4)  # noqa: NPY002
    return np.random.default_rng(seed)


def _check_choice(name: str, value: Any, choices: tuple[Any, ...]) -> None:
    if value not in choices:
        raise ValueError(f'{name} must be one of {choices}, but is {value!r}')


def _parse_count(num_pasted: str | Sequence[int | None]) -> tuple[int, int]:
    """Turns ``num_pasted`` into the least and the most objects."""
    if isinstance(num_pasted, str) and num_pasted in _COUNTS:
        return _COUNTS[num_pasted]
    if not isinstance(num_pasted, str) and len(num_pasted) == 2:
        low, high = num_pasted
        high = _UNBOUNDED if high is None else high
        if isinstance(low, int) and 0 <= low <= high:
            return low, high
    raise ValueError(
        "num_pasted must be 'random', 'one', 'all' or (low, high) with "
        f'0 <= low <= high, but is {num_pasted!r}'
    )


def _source_of(results: Results) -> Results:
    mixed = results.get('mix_results')
    if not isinstance(mixed, Sequence) or len(mixed) != 1:
        found = 'none' if mixed is None else len(mixed)
        raise ValueError(
            "CopyPaste needs one source image in 'mix_results', but found "
            f'{found}; put it into the pipeline of a MultiImageMixDataset'
        )
    return dict(mixed[0])


def _required(results: Results, key: str, which: str) -> Any:
    if results.get(key) is None:
        raise ValueError(
            f"the {which} image has no '{key}'; load it with "
            'LoadAnnotations(with_bbox=True, with_mask=True)'
        )
    return results[key]


def _refuse_stale_keys(results: Results) -> None:
    """Refuses annotations that pasting would leave wrong without a word."""
    for key, value in results.items():
        annotation = key.startswith(('gt_', 'proposals'))
        if annotation and key not in _MAINTAINED and value is not None:
            raise ValueError(
                f"CopyPaste cannot update '{key}', which would go stale; "
                'remove it from the pipeline or load it after CopyPaste'
            )


def _patches_of(
    masks: Any, size: tuple[int, int], which: str
) -> tuple[list[Patch], list[int]]:
    """Patches of a mask container and the rows whose polygons are invalid."""
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
    if isinstance(masks, BitmapMasks):
        return [patch_from_bitmap(mask) for mask in masks.masks], []
    patches, invalid = [], []
    for row, polygons in enumerate(masks.masks):
        valid = [part for part in polygons if len(part) >= 6]
        if not valid:
            invalid.append(row)
        patches.append(patch_from_polygons(valid, *size))
    return patches, invalid


def _take(
    objects: _Objects, clipped: list[Patch], params: PasteParams
) -> _Objects:
    """The selected objects, cut to the destination's size."""
    rows = list(params.selected)
    patches = [clipped[row] for row in rows]
    boxes = objects.boxes[torch.tensor(rows)]
    smaller = [clipped[row] is not objects.patches[row] for row in rows]
    if any(smaller) and isinstance(boxes, HorizontalBoxes):
        tight = torch.from_numpy(boxes_of(patches))
        change = torch.tensor(smaller)[:, None]
        boxes = HorizontalBoxes(torch.where(change, tight, boxes.tensor))
    return _Objects(
        boxes, objects.labels[rows], objects.ignored[rows], patches
    )


def _xyxy(boxes: BaseBoxes) -> NDArray[np.float32]:
    horizontal = boxes.convert_to('hbox')
    return np.asarray(horizontal.numpy(), np.float32)


def _put_boxes(out: Results, kept: BaseBoxes, pasted: BaseBoxes) -> None:
    if isinstance(out['gt_bboxes'], np.ndarray):
        dtype = out['gt_bboxes'].dtype
        both = [kept.numpy(), pasted.numpy()]
        out['gt_bboxes'] = np.concatenate(both).astype(dtype)
    else:
        pasted = pasted.convert_to(type(kept))
        out['gt_bboxes'] = kept.cat([kept, pasted])


def _to_bitmaps(patches: list[Patch], height: int, width: int) -> BitmapMasks:
    bitmaps = np.zeros((len(patches), height, width), np.uint8)
    for patch, canvas in zip(patches, bitmaps, strict=True):
        write_patch(patch, canvas)
    return BitmapMasks(bitmaps, height, width)


def _put_masks(out: Results, patches: list[Patch]) -> None:
    old = out['gt_masks']
    masks = _to_bitmaps(patches, old.height, old.width)
    if isinstance(old, BitmapMasks):
        masks.masks = masks.masks.astype(old.masks.dtype, copy=False)
    out['gt_masks'] = masks


def _update_seg_map(
    out: Results, source: Results, patches: list[Patch]
) -> None:
    if out.get('gt_seg_map') is not None:
        pasted = _required(source, 'gt_seg_map', 'source')
        out['gt_seg_map'] = paste_image(out['gt_seg_map'], pasted, patches)


def _update_instance_ids(
    out: Results, keep: NDArray[np.bool_], num_pasted: int
) -> None:
    ids = out.get('gt_instances_ids')
    if ids is not None:
        ids = np.asarray(ids)
        fresh = ids.max(initial=-1) + 1 + np.arange(num_pasted)
        kept = ids[keep]
        out['gt_instances_ids'] = np.concatenate(
            [kept, fresh.astype(ids.dtype)]
        )


def _update_keypoints(
    out: Results,
    source: Results,
    keep: NDArray[np.bool_],
    params: PasteParams,
    union: Patch,
) -> None:
    """Appends the pasted joints; a covered visible joint becomes hidden.

    COCO's visibility: 0 not labelled, 1 labelled but hidden, 2 visible.
    """
    if out.get('gt_keypoints') is None:
        return
    rows = list(params.selected)
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
        pasted = np.asarray(_required(source, key, 'source'))[rows]
        out[key] = np.concatenate([out[key], pasted.astype(out[key].dtype)])
