"""Random placing of cut-outs on a canvas."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from mmcp.datasets.transforms.randomness import rng_of
from mmcp.datasets.transforms.shown_arguments import ShownArguments
from mmcp.functional.cutouts import (
    Placement,
    compose_cutouts,
    draw_placement,
)
from mmcp.registry import TRANSFORMS
from mmcp.structures import CroppedBitmapMasks

__all__ = ['PlaceCutouts']

Results = dict[str, Any]

# The normalisation mean in the order of decoded images, BGR.
_GRAY = (104, 116, 124)


@TRANSFORMS.register_module()
class PlaceCutouts(ShownArguments, BaseTransform):  # type: ignore[misc]
    """Lays cut-outs on an empty canvas, each at a random size and place.

    :class:`mmcp.CopyPaste` pastes objects at their own coordinates, so this
    is what decides where a cut-out lands. Give ``size`` the size of the
    destination. Later cut-outs lie on top of earlier ones, whose masks lose
    what is hidden; objects without a visible pixel are left out. What comes
    out is an ordinary sample, for any other transform too.

    Required Keys:
        - cutouts: list of dicts with ``cutout`` and ``bbox_label``, as
          :class:`mmcp.LoadCutouts` leaves them
        - sample_rng (numpy.random.Generator) (optional); without it numpy's
          global state seeds the draws

    Added Keys:
        - img (H, W, 3), uint8, BGR; img_shape, ori_shape
        - gt_bboxes (HorizontalBoxes of shape (M, 4), ``xyxy``), float32
        - gt_bboxes_labels (M,), int64
        - gt_masks (CroppedBitmapMasks), M masks of (H, W)
        - gt_ignore_flags (M,), bool, all False

        ``cutouts`` is removed.

    Args:
        size: Size of the canvas, ``(width, height)`` as in MMDetection, or
            one number for a square.
        scale_range: Least and greatest scale, drawn uniformly. Defaults to
            (0.1, 0.5).
        relative_to: ``'canvas'``: scale 1 makes the cut-out's longer side as
            long as the canvas's shorter side. ``'cutout'``: scale 1 keeps
            the cut-out's own size. Defaults to 'canvas'.
        overhang: Part of a cut-out's width and height, below 1, that may lie
            outside of the canvas. Defaults to 0.0.
        flip_prob: Probability of a horizontal flip. Defaults to 0.5.
        fill: Colour of the empty canvas, one number or BGR. Defaults to
            (104, 116, 124), the mean of ImageNet.

    Raises:
        ValueError: If an argument is out of its range.

    Examples:
        >>> import numpy as np
        >>> from mmcp.functional.cutouts import Cutout
        >>> disc = Cutout(*(np.full(s, 200, np.uint8) for s in [(8, 8, 3),
        ...                                                     (8, 8)]))
        >>> place = PlaceCutouts(size=(64, 32), scale_range=(0.25, 0.25))
        >>> entry = dict(cutout=disc, bbox_label=3)
        >>> results = place({'cutouts': [entry]})
        >>> results['img'].shape, results['gt_masks'].areas.tolist()
        ((32, 64, 3), [64])
    """

    def __init__(
        self,
        size: int | Sequence[int],
        scale_range: Sequence[float] = (0.1, 0.5),
        relative_to: str = 'canvas',
        overhang: float = 0.0,
        flip_prob: float = 0.5,
        fill: float | Sequence[float] = _GRAY,
    ) -> None:
        width, height = (size, size) if isinstance(size, int) else size
        if min(width, height) < 1:
            raise ValueError(
                f'size must be (width, height), both > 0, but is {size}'
            )
        low, high = scale_range
        if not 0 < low <= high:
            raise ValueError(
                'scale_range must be (low, high) with 0 < low <= high, but '
                f'is {scale_range!r}'
            )
        if relative_to not in ('canvas', 'cutout'):
            raise ValueError(
                "relative_to must be 'canvas' or 'cutout', but is "
                f'{relative_to!r}'
            )
        if not 0 <= overhang < 1:
            raise ValueError(f'overhang must lie in [0, 1), but is {overhang}')
        if not 0 <= flip_prob <= 1:
            raise ValueError(
                f'flip_prob must lie in [0, 1], but is {flip_prob}'
            )
        self.size = (int(width), int(height))
        self.scale_range = (float(low), float(high))
        self.relative_to = relative_to
        self.overhang = overhang
        self.flip_prob = flip_prob
        self.fill = fill

    def transform(self, results: Results) -> Results:
        """Draws a placement for each cut-out and composes the sample.

        Args:
            results: Results with loaded cut-outs; not changed.

        Returns:
            New results.
        """
        return self.apply(results, self.draw(results))

    def draw(self, results: Results) -> list[Placement]:
        """Draws the placements.

        Args:
            results: Results with loaded cut-outs.

        Returns:
            One placement for each.
        """
        rng = rng_of(results)
        return [
            draw_placement(
                rng,
                entry['cutout'].alpha.shape,
                self.size[::-1],
                self.scale_range,
                self.relative_to,
                self.overhang,
                self.flip_prob,
            )
            for entry in results['cutouts']
        ]

    def apply(self, results: Results, placements: list[Placement]) -> Results:
        """Composes the sample; nothing random happens here.

        Args:
            results: Results with loaded cut-outs.
            placements: One for each.

        Returns:
            New results.
        """
        out = {k: v for k, v in results.items() if k != 'cutouts'}
        entries = results['cutouts']
        image, patches = compose_cutouts(
            [entry['cutout'] for entry in entries],
            placements,
            self.size[::-1],
            self.fill,
        )
        rows = [row for row, patch in enumerate(patches) if patch.bitmap.size]
        labels = [entries[row]['bbox_label'] for row in rows]
        masks = CroppedBitmapMasks(
            [patches[row] for row in rows], *image.shape[:2]
        )
        out.update(
            img=image,
            img_shape=image.shape[:2],
            ori_shape=image.shape[:2],
            gt_bboxes=masks.get_bboxes('hbox'),
            gt_bboxes_labels=np.array(labels, np.int64),
            gt_masks=masks,
            gt_ignore_flags=np.zeros(len(rows), bool),
        )
        return out
