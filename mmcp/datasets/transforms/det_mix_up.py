"""mixup for instance segmentation as a transform for MMDetection."""

from dataclasses import dataclass

import numpy as np
from mmcv.transforms import BaseTransform

from mmcp.datasets.class_weights import ClassWeights
from mmcp.datasets.transforms.mixing import ClassDraws, source_of
from mmcp.datasets.transforms.paste_annotations import (
    MAINTAINED_KEYS,
    PasteObjects,
    Results,
    have_pixels,
    put_boxes,
    put_masks,
    read_objects,
    refuse_stale_keys,
    take_pasted,
    update_instance_ids,
    update_keypoints,
)
from mmcp.datasets.transforms.randomness import rng_of
from mmcp.datasets.transforms.shown_arguments import ShownArguments
from mmcp.functional.mixup import draw_weight, mix_images
from mmcp.functional.paste import union_of
from mmcp.registry import TRANSFORMS
from mmcp.structures import CroppedBitmapMasks

__all__ = ['DetMixUp', 'MixUpParams']

# A pixel of two images has two labels.
_MIXED_KEYS = MAINTAINED_KEYS - {'gt_seg_map'}


@dataclass(frozen=True)
class MixUpParams:
    """Everything random about one mix.

    Args:
        weight: Share of the destination's pixels, lambda, in [0, 1]; None if
            nothing is mixed.
    """

    weight: float | None


@TRANSFORMS.register_module()
class DetMixUp(ClassDraws, ShownArguments, BaseTransform):  # type: ignore[misc]
    """Averages two images and keeps the objects of both.

    The mixup baseline of Figure 5 of the `Copy-Paste paper
    <https://arxiv.org/abs/2012.07177>`_, which does not say how it mixes; this
    is the recipe of its reference, `Bag of Freebies
    <https://arxiv.org/abs/1902.04103>`_: both images keep their geometry, the
    weight is drawn from ``Beta(1.5, 1.5)``, boxes and masks of both stay as
    they are. What is left out is that reference's weight of each object in the
    losses, for which MMDetection's heads have no place.

    MMDetection's ``MixUp`` and ``CachedMixUp`` are YOLOX's: they scale the
    source, place it at random and always mix half and half.

    Stands wherever :class:`mmcp.CopyPaste` does: in
    :class:`mmcp.CopyPasteDataset`, as its
    ``copy_paste=dict(type='mmcp.DetMixUp')``, and in MMDetection's
    ``MultiImageMixDataset``. Images of different size are aligned at the top
    left. The input dict is not changed.

    Required Keys:
        - img (H, W) or (H, W, C), any dtype, kept
        - mix_results: list with the source's results, one dict
        - gt_bboxes (HorizontalBoxes or ndarray of shape (M, 4), ``xyxy``)
        - gt_bboxes_labels (M,), int64
        - gt_masks (CroppedBitmapMasks, BitmapMasks or PolygonMasks), in both
          images or in none (optional)
        - gt_ignore_flags (M,), bool (optional)
        - gt_instances_ids (M,), gt_keypoints (M, J, 3) or gt_keypoints
          (M, J, 2) and gt_keypoints_visible (M, J) (optional)

    Modified Keys:
        - all of these; ``mix_results`` is removed. The destination's objects
          come first, then the source's, crowds included; those that lie
          beyond the destination go, those that reach beyond it are cut.
          PolygonMasks become BitmapMasks.

    Args:
        alpha: Parameter of ``Beta(alpha, alpha)``, from which the
            destination's weight is drawn. Defaults to 1.5.
        prob: Probability that the images are mixed. Defaults to 1.0.

    Raises:
        ValueError: If an argument is out of its range, if only one image has
            masks, or if the results hold a ``gt_*`` key that mixing would
            make stale.
        TypeError: If images or masks are of a kind that cannot be mixed.

    Examples:
        >>> from mmcp.registry import TRANSFORMS
        >>> TRANSFORMS.build(dict(type='mmcp.DetMixUp'))
        DetMixUp(alpha=1.5, prob=1.0)
    """

    def __init__(self, alpha: float = 1.5, prob: float = 1.0) -> None:
        if not alpha > 0:
            raise ValueError(f'alpha must be > 0, but is {alpha}')
        if not 0 <= prob <= 1:
            raise ValueError(f'prob must lie in [0, 1], but is {prob}')
        self.alpha = alpha
        self.prob = prob
        # All classes are mixed, since all of the source is seen.
        self._weights = ClassWeights()

    def transform(self, results: Results) -> Results:
        """Mixes ``mix_results[0]`` into the image.

        Args:
            results: Results of the destination, with ``mix_results``.

        Returns:
            New results; the same objects as before if nothing was mixed.
        """
        source = source_of(results, 'DetMixUp')
        destination = {k: v for k, v in results.items() if k != 'mix_results'}
        refuse_stale_keys(destination, 'DetMixUp', _MIXED_KEYS)
        return self.apply(destination, source, self.draw(rng_of(results)))

    def draw(self, rng: np.random.Generator) -> MixUpParams:
        """Draws how the images are mixed.

        Args:
            rng: Source of randomness.

        Returns:
            The drawn parameters.
        """
        if self.prob < 1 and rng.random() >= self.prob:
            return MixUpParams(None)
        return MixUpParams(draw_weight(rng, self.alpha))

    def apply(
        self, destination: Results, source: Results, params: MixUpParams
    ) -> Results:
        """Mixes two images; nothing random happens here.

        Args:
            destination: Results of one image.
            source: Results of the other one.
            params: The drawn parameters.

        Returns:
            New results.
        """
        if params.weight is None:
            return destination
        masked = _both_have_masks(destination, source)
        below = read_objects(destination, 'destination', not masked, True)
        above = read_objects(source, 'source', not masked, True)
        rows, above = _inside(above, destination['img'].shape[:2])
        out = dict(destination)
        out['img'] = mix_images(
            np.asarray(destination['img']),
            np.asarray(source['img']),
            params.weight,
        )
        put_boxes(out, below.boxes, above.boxes)
        out['gt_bboxes_labels'] = np.concatenate([below.labels, above.labels])
        out['gt_ignore_flags'] = np.concatenate([below.ignored, above.ignored])
        if masked:
            put_masks(out, CroppedBitmapMasks.cat([below.masks, above.masks]))
        keep = np.ones(len(below.labels), bool)
        update_instance_ids(out, keep, len(rows))
        # Nothing is hidden: the union of no masks.
        update_keypoints(out, source, keep, rows, union_of(()))
        return out


def _both_have_masks(destination: Results, source: Results) -> bool:
    """Whether both images have masks; an error if only one does."""
    have = [one.get('gt_masks') is not None for one in (destination, source)]
    if any(have) and not all(have):
        raise ValueError(
            "only one of the two images has 'gt_masks'; load them for both, "
            'with_mask=True, or for none'
        )
    return all(have)


def _inside(
    objects: PasteObjects, size: tuple[int, int]
) -> tuple[list[int], PasteObjects]:
    """The objects that a window at the top left shows, cut to it."""
    masks = objects.masks
    if (masks.height, masks.width) == size:
        # Polygons stay polygons.
        return list(range(len(masks))), objects
    rows = np.flatnonzero(have_pixels(masks, size)).tolist()
    return rows, take_pasted(objects, rows, size)[0]
