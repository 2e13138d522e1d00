"""Simple Copy-Paste as a transform for MMDetection."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.structures.bbox import BaseBoxes, HorizontalBoxes
from numpy.typing import NDArray

from mmcp.datasets.class_weights import Class, ClassWeights, Weights
from mmcp.datasets.transforms.mixing import (
    ClassDraws,
    check_choice,
    parse_count,
    source_of,
)
from mmcp.datasets.transforms.paste_annotations import (
    MAINTAINED_KEYS,
    PasteObjects,
    Results,
    bounds_of,
    have_pixels,
    join_masks,
    put_boxes,
    put_masks,
    read_objects,
    refuse_stale_keys,
    required,
    take_pasted,
    update_instance_ids,
    update_keypoints,
    update_seg_map,
    xyxy,
)
from mmcp.datasets.transforms.postponed_images import are_images_postponed
from mmcp.datasets.transforms.randomness import rng_of
from mmcp.datasets.transforms.shown_arguments import ShownArguments
from mmcp.functional.paste import (
    Cut,
    DropPolicy,
    PastedImage,
    cut_patches,
    draw_count,
    draw_selection,
    meeting,
    union_of,
    update_boxes,
)
from mmcp.functional.patches import Patch
from mmcp.registry import TRANSFORMS
from mmcp.structures import CroppedBitmapMasks
from mmcp.structures.boxes import replace_boxes, take_boxes

_BOX_UPDATES = ('if_changed', 'always', 'threshold')


@dataclass(frozen=True)
class PasteParams:
    """Everything random about one paste.

    Args:
        selected: Rows of the source's objects that are pasted, in the order
            in which they are appended.
    """

    selected: tuple[int, ...]


@TRANSFORMS.register_module()
class CopyPaste(ClassDraws, ShownArguments, BaseTransform):  # type: ignore[misc]
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
        - gt_masks (CroppedBitmapMasks, BitmapMasks or PolygonMasks), unless
          ``paste_by_box``
        - gt_ignore_flags (M,), bool (optional)
        - gt_seg_map (H, W), gt_instances_ids (M,), gt_keypoints (M, J, 3) or
          gt_keypoints (M, J, 2) and gt_keypoints_visible (M, J) (optional)

    Modified Keys:
        - all of these; ``mix_results`` is removed. CroppedBitmapMasks and
          BitmapMasks stay of their kind, PolygonMasks become BitmapMasks when
          something was pasted. Surviving destination objects come first, in
          their order, then the pasted ones.

    Args:
        max_num_pasted: Most objects pasted, inclusive, with
            ``num_pasted='all'`` too. Defaults to 100.
        bbox_occluded_thr: MMDetection's name. In pixels; giving it or the
            next selects ``drop='mmdet'``. With ``box_update='threshold'`` it
            is only the threshold of that. Defaults to None, meaning 10.
        mask_occluded_thr: MMDetection's name. In pixels of area. Defaults to
            None, meaning 300.
        selected: MMDetection's name: ``selected=False`` is
            ``num_pasted='all'``. Defaults to True.
        paste_by_box: Whether boxes stand in for masks where ``gt_masks`` is
            missing. The result then has no masks either. Defaults to False.
        num_pasted: How many of the source's N objects are pasted.
            ``'random'``: uniform over 0..N with both ends; ``'one'``;
            ``'all'``; a number; or ``(low, high)``, uniform with both ends,
            where a ``high`` of None means N: ``(1, None)`` is what the
            paper's released code does. Defaults to 'random'.
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
            still partly visible as an ignored region, which MMDetection's
            assigners heed if their ``ignore_iof_thr`` is above 0. Defaults
            to 'remove'.
        paste_crowd: Whether crowd and ignored source objects may be pasted.
            Defaults to False.
        prob: Probability that anything is pasted. Defaults to 1.0.
        class_weights: Sampling weights of objects by class, a dict from class
            index or name to weight (others weigh 1), a sequence with one
            weight a class, or ``'inverse_frequency'`` or
            ``'inverse_sqrt_frequency'``, by the objects of the data set.
            Defaults to None.
        allow: Classes, by index or name, that may be pasted. Defaults to
            None, meaning all.
        deny: Classes that may not be pasted. Defaults to None.
        compat: ``'mmdet'`` reproduces MMDetection 3.3's image values, masks
            and random draws, its defects included (crowd is pasted, the cap
            is exclusive, hidden objects survive in the top-left corner);
            the image keeps its dtype and masks are 0 or 1 all the same.
            Arguments that MMDetection lacks are refused. Defaults to None.

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
        num_pasted: str | int | Sequence[int | None] = 'random',
        blend: str = 'none',
        blend_sigma: float = 2.0,
        box_update: str = 'if_changed',
        drop: str | Mapping[str, float] | None = None,
        dropped: str = 'remove',
        paste_crowd: bool = False,
        prob: float = 1.0,
        class_weights: Weights | None = None,
        allow: Sequence[Class] | None = None,
        deny: Sequence[Class] | None = None,
        compat: str | None = None,
    ) -> None:
        check_choice('blend', blend, ('none', 'gaussian'))
        check_choice('box_update', box_update, _BOX_UPDATES)
        check_choice('dropped', dropped, ('remove', 'ignore'))
        check_choice('compat', compat, (None, 'mmdet'))
        if blend_sigma <= 0:
            raise ValueError(f'blend_sigma must be > 0, but is {blend_sigma}')
        if not 0 <= prob <= 1:
            raise ValueError(f'prob must lie in [0, 1], but is {prob}')
        if not isinstance(max_num_pasted, int) or max_num_pasted < 0:
            raise ValueError(
                'max_num_pasted must be a whole number >= 0, but is '
                f'{max_num_pasted!r}'
            )
        if not selected and num_pasted not in ('random', 'all'):
            raise ValueError(
                "selected=False is num_pasted='all'; give one of the two, not "
                f'num_pasted={num_pasted!r} as well'
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
        thresholds = [mask_occluded_thr]
        if box_update != 'threshold':
            thresholds.append(bbox_occluded_thr)
        if compat or any(value is not None for value in thresholds):
            self.drop = drop or 'mmdet'
        self.dropped = dropped
        self.paste_crowd = paste_crowd
        self.prob = prob
        self.class_weights = class_weights
        self.allow = allow
        self.deny = deny
        self.compat = compat
        self._count = parse_count(self.num_pasted)
        self._shift = 10.0 if bbox_occluded_thr is None else bbox_occluded_thr
        self._policy = self._make_policy()
        self._weights = ClassWeights(class_weights, allow, deny)
        if compat:
            self._refuse_beside_compat(num_pasted, box_update, drop)

    def _refuse_beside_compat(
        self, num_pasted: Any, box_update: str, drop: Any
    ) -> None:
        """Refuses what MMDetection's class could not do."""
        given = dict(
            num_pasted=num_pasted,
            blend=self.blend,
            box_update=box_update,
            drop=drop,
            dropped=self.dropped,
            paste_crowd=self.paste_crowd,
            prob=self.prob,
            class_weights=self.class_weights,
            allow=self.allow,
            deny=self.deny,
        )
        defaults = inspect.signature(type(self)).parameters
        beside = [k for k, v in given.items() if v != defaults[k].default]
        if beside:
            raise ValueError(
                "compat='mmdet' does what MMDetection's class does, which has "
                f'no {", ".join(beside)}; leave out one or the other'
            )
        if not self.max_num_pasted:
            raise ValueError(
                "compat='mmdet' has MMDetection's exclusive cap, so "
                'max_num_pasted must be 1 at least'
            )

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
            if not unknown and 0 <= self.drop.get('min_visible_ratio', 0) <= 1:
                return DropPolicy(**self.drop)  # type: ignore[arg-type]
        raise ValueError(
            "drop must be None, 'mmdet' or a dict with min_visible_ratio (0 "
            f'to 1) or min_area (pixels), but is {self.drop!r}'
        )

    def transform(self, results: Results) -> Results:
        """Pastes objects of ``mix_results[0]`` onto the image.

        Args:
            results: Results of the destination, with ``mix_results``.

        Returns:
            New results; the same objects as before if nothing was pasted.
        """
        source = source_of(results, 'CopyPaste')
        destination = {k: v for k, v in results.items() if k != 'mix_results'}
        refuse_stale_keys(destination, 'CopyPaste', MAINTAINED_KEYS)
        if not len(required(source, 'gt_bboxes', 'source')):
            return destination
        objects = self._read(source, 'source')
        if _lacks_masks(source) and not _lacks_masks(destination):
            raise ValueError(
                "only one of the two images has 'gt_masks'; paste_by_box=True "
                'needs both without, or boxes would be learnt as masks'
            )
        size = destination['img'].shape[:2]
        if self.compat:
            params = self._draw_as_mmdet(len(objects.labels))
        else:
            params = self.draw(objects, size, rng_of(results))
        if not params.selected:
            return destination
        pasted, patches = take_pasted(objects, params.selected, size)
        return self._apply(destination, source, pasted, patches, params)

    def draw(
        self,
        objects: PasteObjects,
        size: tuple[int, int],
        rng: np.random.Generator,
    ) -> PasteParams:
        """Draws what is pasted.

        Args:
            objects: The source's N objects.
            size: Height and width of the destination.
            rng: Source of randomness.

        Returns:
            The drawn parameters.
        """
        if self.prob < 1 and rng.random() >= self.prob:
            return PasteParams(())
        weights = self._weights.of(objects.labels)
        weights[~have_pixels(objects.masks, size)] = 0
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
        pasted: PasteObjects,
        patches: list[Patch],
        params: PasteParams,
    ) -> Results:
        """Pastes the selected objects; nothing random happens here."""
        below = self._read(destination, 'destination')
        union = union_of(patches)
        rows, empty = self._look_at(below, union)
        cut = cut_patches(below.masks.patches(rows), union)
        keep, ignored = self._survivors(below, cut, rows, empty)
        boxes = self._move_boxes(below, cut, rows)
        out = dict(destination)
        put_boxes(out, take_boxes(boxes, keep), pasted.boxes)
        out['gt_bboxes_labels'] = np.concatenate(
            [below.labels[keep], pasted.labels]
        )
        out['gt_ignore_flags'] = np.concatenate(
            [ignored[keep], pasted.ignored]
        )
        if destination.get('gt_masks') is not None:
            put_masks(out, join_masks(below, pasted, cut, rows, keep))
        sigma = self.blend_sigma if self.blend == 'gaussian' else 0.0
        image = PastedImage(destination['img'], source['img'], patches, sigma)
        out['img'] = image if are_images_postponed() else np.asarray(image)
        update_seg_map(out, source, patches)
        update_instance_ids(out, keep, len(params.selected))
        update_keypoints(out, source, keep, params.selected, union)
        return out

    def _read(self, results: Results, which: str) -> PasteObjects:
        cover = self.compat is None
        return read_objects(results, which, self.paste_by_box, cover)

    def _look_at(
        self, below: PasteObjects, union: Patch
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Rows that may change, and which masks surely have no pixel."""
        bounds = bounds_of(below.masks, exact=self.box_update == 'always')
        rows = meeting(bounds, union.extent)
        if self.box_update == 'always':
            rows = np.arange(len(bounds), dtype=np.int64)
        empty: NDArray[np.bool_] = np.any(bounds[:, :2] >= bounds[:, 2:], 1)
        return rows, empty

    def _survivors(
        self,
        below: PasteObjects,
        cut: Cut,
        rows: NDArray[np.int64],
        empty: NDArray[np.bool_],
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which destination objects stay, and which of them are ignored."""
        boxes = xyxy(below.boxes)[rows]
        if self.compat:
            area = np.array([patch.area for patch in cut.patches], np.int64)
            cut = cut._replace(area=area, lost=np.ones(len(area), bool))
            return self._policy.keeps(boxes, cut), below.ignored
        # An ignored region without a mask is its box; nothing can hide it.
        keep = ~empty | below.ignored
        good = np.ones(len(keep), bool)
        good[rows] = self._policy.keeps(boxes, cut)
        keep[rows[cut.area == 0]] = False
        if self.dropped == 'remove':
            return keep & good, below.ignored
        return keep, below.ignored | ~good

    def _move_boxes(
        self, below: PasteObjects, cut: Cut, rows: NDArray[np.int64]
    ) -> BaseBoxes:
        if isinstance(below.boxes, HorizontalBoxes):
            old = below.boxes.tensor.numpy()[rows]
            moved = update_boxes(old, cut, self.box_update, self._shift)
            if self.compat is None:
                # Where no mask is left, or never was, the box says it all.
                seen = [patch.bitmap.size > 0 for patch in cut.patches]
                moved = np.where(np.array(seen)[:, None], moved, old)
            return replace_boxes(below.boxes, rows, moved)
        if self.box_update != 'if_changed' or self.drop == 'mmdet':
            raise TypeError(
                "box_update='always' or 'threshold' and drop='mmdet' compare "
                'horizontal boxes; other box types need their defaults'
            )
        lost = np.flatnonzero(cut.lost & (cut.area > 0))
        patches = [cut.patches[k] for k in lost]
        size = below.masks.height, below.masks.width
        masks = CroppedBitmapMasks(patches, *size)
        tight = masks.get_bboxes(type(below.boxes))
        return replace_boxes(below.boxes, rows[lost], tight.numpy())


def _lacks_masks(results: Results) -> bool:
    return results.get('gt_masks') is None
