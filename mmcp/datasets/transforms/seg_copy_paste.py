"""Copy-Paste for semantic segmentation, as a transform for MMSegmentation."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from numpy.typing import NDArray

from mmcp.datasets.class_weights import Class, ClassWeights
from mmcp.datasets.transforms.mixing import (
    ClassDraws,
    check_choice,
    parse_count,
    source_of,
)
from mmcp.datasets.transforms.paste_annotations import update_seg_map
from mmcp.datasets.transforms.randomness import rng_of
from mmcp.datasets.transforms.shown_arguments import ShownArguments
from mmcp.functional.paste import draw_count, draw_selection, paste_image
from mmcp.functional.patches import Patch
from mmcp.functional.regions import (
    class_regions,
    component_regions,
    labels_in,
)
from mmcp.registry import TRANSFORMS

__all__ = ['SegCopyPaste']

Results = dict[str, Any]

_MODES = {'component': component_regions, 'class': class_regions}
_MAP = 'gt_seg_map'


@TRANSFORMS.register_module()
class SegCopyPaste(ClassDraws, ShownArguments, BaseTransform):  # type: ignore[misc]
    """Pastes regions of a second image's label map onto this image.

    `Simple Copy-Paste <https://arxiv.org/abs/2012.07177>`_ where there are
    label maps and no instances. Pixels and labels land at their own
    coordinates; images of different size are aligned at the top left.
    Ignored pixels of the source are never pasted. The input dict is not
    changed.

    It belongs into the pipeline of a ``MultiImageMixDataset``, whose inner
    data set loads, resizes, crops and flips both images::

        train_dataloader = dict(
            dataset=dict(
                type='MultiImageMixDataset',
                dataset=dict(type='CityscapesDataset', ..., pipeline=[
                    dict(type='LoadImageFromFile'),
                    dict(type='LoadAnnotations'),
                    dict(type='RandomResize', ...),
                    dict(type='RandomCrop', ...),
                    dict(type='RandomFlip', prob=0.5),
                ]),
                pipeline=[
                    dict(type='mmcp.SegCopyPaste', allow=['person', 'car']),
                    dict(type='PhotoMetricDistortion'),
                    dict(type='PackSegInputs'),
                ],
            )
        )

    Required Keys:
        - img (H, W) or (H, W, C), any dtype, kept
        - gt_seg_map (H, W), any integer type, kept
        - mix_results: list with the source's results, one dict

    Modified Keys:
        - img, gt_seg_map; ``mix_results`` is removed.

    Args:
        mode: What a region is. ``'component'``: connected pixels of a class,
            an object where objects do not touch. ``'class'``: all pixels of
            a class. Defaults to 'component'.
        num_pasted: How many of the source's N regions are pasted.
            ``'random'``: uniform over 0..N with both ends; ``'one'``;
            ``'all'``; a number; or ``(low, high)``, uniform with both ends,
            where a ``high`` of None means N. Defaults to 'random'.
        prob: Probability that anything is pasted. Defaults to 1.0.
        min_area: Fewest pixels of a region, inside of the destination.
            Defaults to 1.
        ignore_index: Label that is never pasted. Defaults to 255.
        class_weights: Sampling weights of regions by class, a dict from class
            index or name to weight (others weigh 1) or a sequence with one
            weight a class. Defaults to None.
        allow: Classes, by index or name, that may be pasted. Defaults to
            None, meaning all.
        deny: Classes that may not be pasted. Defaults to None.
        blend: ``'none'`` or ``'gaussian'``. Labels always have hard edges.
            Defaults to 'none'.
        blend_sigma: Standard deviation of the Gaussian in pixels. Defaults to
            2.0.

    Raises:
        ValueError: If an argument is out of its range, or if the results
            lack the label map, or hold another ``gt_*`` key, which pasting
            would make stale.
        TypeError: If images cannot be pasted onto each other.

    Examples:
        >>> import numpy as np
        >>> image = np.zeros((4, 4, 3), np.uint8)
        >>> road = np.zeros((4, 4), np.uint8)
        >>> car = np.pad(np.full((2, 2), 1, np.uint8), 1)
        >>> source = dict(img=image + 99, gt_seg_map=car)
        >>> paste = SegCopyPaste(num_pasted='all', deny=[0])
        >>> results = dict(img=image, gt_seg_map=road, mix_results=[source])
        >>> paste(results)['gt_seg_map'].tolist()
        [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    """

    def __init__(
        self,
        mode: str = 'component',
        num_pasted: str | int | Sequence[int | None] = 'random',
        prob: float = 1.0,
        min_area: int = 1,
        ignore_index: int = 255,
        *,
        class_weights: Mapping[Class, float] | Sequence[float] | None = None,
        allow: Sequence[Class] | None = None,
        deny: Sequence[Class] | None = None,
        blend: str = 'none',
        blend_sigma: float = 2.0,
    ) -> None:
        check_choice('mode', mode, tuple(_MODES))
        check_choice('blend', blend, ('none', 'gaussian'))
        if not 0 <= prob <= 1:
            raise ValueError(f'prob must lie in [0, 1], but is {prob}')
        if min_area < 1:
            raise ValueError(f'min_area must be >= 1, but is {min_area}')
        if blend_sigma <= 0:
            raise ValueError(f'blend_sigma must be > 0, but is {blend_sigma}')
        if isinstance(class_weights, str):
            raise ValueError(
                f'class_weights={class_weights!r} counts objects, and label '
                'maps have none; give a dict from class to weight'
            )
        self.mode = mode
        self.num_pasted = num_pasted
        self.prob = prob
        self.min_area = min_area
        self.ignore_index = ignore_index
        self.class_weights = class_weights
        self.allow = allow
        self.deny = deny
        self.blend = blend
        self.blend_sigma = blend_sigma
        self._count = parse_count(num_pasted)
        self._weights = ClassWeights(class_weights, allow, deny)

    def transform(self, results: Results) -> Results:
        """Pastes regions of ``mix_results[0]`` onto the image.

        Args:
            results: Results of the destination, with ``mix_results``.

        Returns:
            New results; the same arrays as before if nothing was pasted.
        """
        source = source_of(results, type(self).__name__)
        out = {k: v for k, v in results.items() if k != 'mix_results'}
        _check_keys(out, 'destination')
        _check_keys(source, 'source')
        height, width = out['img'].shape[:2]
        visible = source[_MAP][:height, :width]
        patches = self.draw(visible, rng_of(results))
        if patches:
            sigma = self.blend_sigma if self.blend == 'gaussian' else 0.0
            # It compares the sizes of maps and images, so it comes first.
            update_seg_map(out, source, patches)
            out['img'] = paste_image(out['img'], source['img'], patches, sigma)
        return out

    def draw(
        self, seg_map: NDArray[Any], rng: np.random.Generator
    ) -> list[Patch]:
        """Draws what is pasted.

        Args:
            seg_map: The source's labels inside of the destination, shape
                (H, W).
            rng: Source of randomness.

        Returns:
            Where the drawn regions are, none if nothing is pasted.
        """
        if self.prob < 1 and rng.random() >= self.prob:
            return []
        labels = [n for n in labels_in(seg_map) if n != self.ignore_index]
        weights = self._weights.of(np.array(labels, np.int64))
        chosen = dict(zip(labels, weights, strict=True))
        # Nothing is looked for that could not be pasted.
        labels = [label for label in labels if chosen[label] > 0]
        regions = _MODES[self.mode](seg_map, labels, self.min_area)
        weights = np.array([chosen[region.label] for region in regions])
        count = draw_count(rng, *self._count, len(regions))
        selected = draw_selection(rng, weights, count)
        return [regions[index].patch for index in selected]


def _check_keys(results: Results, which: str) -> None:
    """Refuses images without labels, and labels that would go stale."""
    if results.get(_MAP) is None:
        raise ValueError(
            f"the {which} image has no '{_MAP}'; load it with LoadAnnotations"
        )
    for key, value in results.items():
        if key.startswith('gt_') and key != _MAP and value is not None:
            raise ValueError(
                f"SegCopyPaste cannot update '{key}', which would go stale; "
                'make it after SegCopyPaste, or take mmcp.CopyPaste for '
                'instances'
            )
