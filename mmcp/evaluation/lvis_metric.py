"""AP of LVIS for MMDetection's detectors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from numpy.typing import NDArray
from pycocotools import mask as mask_api
from torch import Tensor

from mmcp.evaluation.lvis_annotations import LVISAnnotations, LVISImage, Rle
from mmcp.evaluation.lvis_evaluation import (
    MAX_DETECTIONS,
    ImageMatches,
    LVISSummary,
    match_boxes,
    match_masks,
    select,
)
from mmcp.evaluation.result_files import ImageDetections, write_results
from mmcp.registry import METRICS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_METRICS = ('bbox', 'segm')
_ITEMS = (
    *('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl', 'APr', 'APc', 'APf'),
    *(f'AR{area}@{MAX_DETECTIONS}' for area in ('', 's', 'm', 'l')),
)


@dataclass(frozen=True, eq=False)
class _Evaluated:
    """What is kept of an image, and what other ranks are sent."""

    matches: Mapping[str, ImageMatches]
    detections: ImageDetections | None


@METRICS.register_module()
class LVISMetric(BaseMetric):  # type: ignore[misc]
    """The official results of LVIS, without the official package.

    Equal to the package ``lvis``, which does not run on numpy 1.24 and
    later: at most 300 detections an image, of all categories together; what
    is found of categories that are neither annotated in an image nor known
    to be absent from it (``neg_category_ids``) is left out, and what matches
    nothing does no harm where a category's objects may be incomplete
    (``not_exhaustive_category_ids``). See section 3 of `LVIS
    <https://arxiv.org/abs/1908.03195>`_.

    Images are matched as they are predicted, so that a detection takes 22
    bytes, a mask included, and ranks exchange no masks. Only masks that can
    count are encoded. With ``outfile_prefix`` all are, and kept.

    It stands where MMDetection's ``LVISMetric`` does. Values are not rounded,
    and masks are small, medium or large by their own area; MMDetection's go
    by the area of the box.

    Args:
        ann_file: Annotations of LVIS v0.5 or v1, JSON.
        metric: ``'bbox'``, ``'segm'`` or both. Defaults to 'bbox'.
        classwise: Whether to log AP of each category, and to add it to the
            results as ``bbox_<name>_precision``. Defaults to False.
        metric_items: Which results to give. Defaults to None, meaning AP,
            AP50, AP75, APs, APm, APl, APr, APc and APf; there are AR@300,
            ARs@300, ARm@300 and ARl@300 too.
        format_only: Whether to write the result files only, as for a test
            set; ``ann_file`` then needs categories only. Defaults to False.
        outfile_prefix: Start of the paths of result files,
            ``<prefix>.bbox.json`` and ``<prefix>.segm.json``, in the format
            of the evaluation server. Defaults to None, meaning that none are
            written.
        backend_args: Of mmengine's file backend. Defaults to None.
        collect_device: ``'cpu'`` or ``'gpu'``: how ranks exchange results.
            Defaults to 'cpu'.
        prefix: Of the results' names. Defaults to None, meaning 'lvis'.

    Raises:
        ValueError: If an argument is unknown, if ``format_only`` has no
            ``outfile_prefix``, or if ``ann_file`` is not LVIS's.
        FileNotFoundError: If there is no ``ann_file``.
    """

    default_prefix = 'lvis'

    def __init__(
        self,
        ann_file: str,
        metric: str | Sequence[str] = 'bbox',
        classwise: bool = False,
        metric_items: Sequence[str] | None = None,
        format_only: bool = False,
        outfile_prefix: str | None = None,
        backend_args: dict[str, Any] | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.metrics = [metric] if isinstance(metric, str) else [*metric]
        _check_names('metric', self.metrics, _METRICS)
        self.metric_items = list(metric_items or _ITEMS[:9])
        _check_names('metric_items', self.metric_items, _ITEMS)
        if format_only and outfile_prefix is None:
            raise ValueError(
                'format_only writes result files: give outfile_prefix, the '
                'start of their paths'
            )
        self.classwise = classwise
        self.format_only = format_only
        self.outfile_prefix = outfile_prefix
        self.annotations = LVISAnnotations.from_file(
            ann_file, backend_args, categories_only=format_only
        )
        self._indices: Ints | None = None

    @property
    def category_indices(self) -> Ints:
        """For each label the index of its category in the file."""
        if self._indices is None:
            classes = (self.dataset_meta or {}).get('classes')
            if classes is None:
                raise ValueError(
                    'LVISMetric must know the classes of the data set: set '
                    "dataset_meta = dict(classes=[...]), as mmengine's "
                    'runner does'
                )
            self._indices = self.annotations.indices_of(classes)
        return self._indices

    def process(
        self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]
    ) -> None:
        """Matches the detections of a batch.

        Args:
            data_batch: Not used.
            data_samples: For each image ``img_id`` and ``pred_instances``:
                ``bboxes`` in ``xyxy``, shape (N, 4), ``scores`` and
                ``labels``, shape (N,), ``masks``, shape (N, H, W) or N run
                lengths, and ``mask_scores``, shape (N,), if masks have
                scores of their own.

        Raises:
            ValueError: If an image is not in the annotation file, or has
                another size there, or if there are no masks for ``'segm'``.
        """
        for sample in data_samples:
            found = _Predictions(
                sample['pred_instances'], self.category_indices
            )
            image_id = sample['img_id']
            if 'segm' in self.metrics and found.masks is None:
                raise ValueError(
                    f'image {image_id} has no predicted masks; a detector '
                    "without masks is evaluated with metric='bbox'"
                )
            if self.outfile_prefix is not None and 'segm' in self.metrics:
                found.masks = found.rles(np.arange(len(found.scores)))
            self.results.append(
                _Evaluated(
                    self._match(image_id, found),
                    self._detections(image_id, found),
                )
            )

    def _match(
        self, image_id: int, found: '_Predictions'
    ) -> dict[str, ImageMatches]:
        if self.format_only:
            return {}
        image = self.annotations.images.get(image_id)
        if image is None:
            raise ValueError(
                f'image {image_id} is not in ann_file; is it the file of '
                'this data set?'
            )
        match = {'bbox': found.match_boxes, 'segm': found.match_masks}
        return {name: match[name](image_id, image) for name in self.metrics}

    def _detections(
        self, image_id: int, found: '_Predictions'
    ) -> ImageDetections | None:
        if self.outfile_prefix is None:
            return None
        return ImageDetections(
            image_id,
            np.array(self.annotations.category_ids)[found.classes],
            found.boxes,
            found.scores,
            found.masks if 'segm' in self.metrics else None,
            found.mask_scores,
        )

    def compute_metrics(self, results: list[_Evaluated]) -> dict[str, float]:
        """Summarises all images.

        Args:
            results: What :meth:`process` kept, of all ranks.

        Returns:
            ``bbox_AP`` and so on, in [0, 1]; -1 where the annotations have
            no such objects.
        """
        logger: MMLogger = MMLogger.get_current_instance()
        if self.outfile_prefix is not None:
            detections = [one.detections for one in results if one.detections]
            paths = write_results(
                detections, self.outfile_prefix, self.metrics
            )
            logger.info('wrote ' + ' and '.join(map(str, paths)))
        found: dict[str, float] = {}
        for metric in () if self.format_only else self.metrics:
            # A sampler may have shown an image twice.
            matches = [one.matches[metric] for one in results]
            unique = {one.image_id: one for one in matches}
            summary = LVISSummary(
                self.annotations,
                unique.values(),
                self.category_indices,
            )
            found |= self._report(metric, summary, logger)
        return found

    def _report(
        self, metric: str, summary: LVISSummary, logger: MMLogger
    ) -> dict[str, float]:
        values = summary.results()
        logger.info(f'{metric}: {_line(values)}')
        found = {f'{metric}_{key}': values[key] for key in self.metric_items}
        if self.classwise:
            by_category = summary.by_category()
            logger.info(f'{metric} AP by category\n{_table(by_category)}')
            for name, value in by_category.items():
                found[f'{metric}_{name}_precision'] = value
        return found


class _Predictions:
    """Predictions of an image, as the evaluation wants them."""

    def __init__(
        self, instances: Mapping[str, Any], category_indices: Ints
    ) -> None:
        labels = instances['labels'].cpu().numpy()
        self.classes: Ints = category_indices[labels]
        self.scores = _floats(instances['scores'])
        boxes = _floats(instances['bboxes'])
        boxes[:, 2:] -= boxes[:, :2]
        self.boxes = boxes
        self.masks: Any = instances.get('masks')
        # Some detectors score masks apart.
        scores = instances.get('mask_scores')
        self.mask_scores = self.scores if scores is None else _floats(scores)

    def match_boxes(self, image_id: int, image: LVISImage) -> ImageMatches:
        chosen = select(image, self.classes, self.scores)
        return match_boxes(
            image_id,
            image,
            self.classes[chosen],
            self.scores[chosen],
            self.boxes[chosen],
        )

    def match_masks(self, image_id: int, image: LVISImage) -> ImageMatches:
        chosen = select(image, self.classes, self.mask_scores)
        return match_masks(
            image_id,
            image,
            self.classes[chosen],
            self.mask_scores[chosen],
            self.rles(chosen),
        )

    def rles(self, places: Ints) -> list[Rle]:
        """Encodes some of the masks."""
        if not isinstance(self.masks, Tensor):
            return [self.masks[place] for place in places]
        chosen = self.masks[torch.from_numpy(places).to(self.masks.device)]
        # Columns first, as run lengths go; on a GPU that costs nothing.
        columns = chosen.to(torch.uint8).transpose(1, 2).contiguous()
        rles: list[Rle] = mask_api.encode(
            columns.cpu().numpy().transpose(2, 1, 0)
        )
        return rles


def _floats(values: Tensor) -> Floats:
    # By way of torch, since numpy has no bfloat16.
    doubles = values.detach().cpu().to(torch.float64, copy=True)
    found: Floats = doubles.numpy()
    return found


def _check_names(
    argument: str, names: Sequence[str], known: Sequence[str]
) -> None:
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise ValueError(
            f'{argument} takes some of {", ".join(known)}, but is {names}'
        )


def _line(values: Mapping[str, float]) -> str:
    return ', '.join(f'{key} {value:.3f}' for key, value in values.items())


def _table(by_category: Mapping[str, float], columns: int = 3) -> str:
    """Names and values side by side."""
    width = max(map(len, by_category), default=0)
    cells = [
        f'{name:{width}} {value:6.3f}' for name, value in by_category.items()
    ]
    rows = [
        '   '.join(cells[start : start + columns])
        for start in range(0, len(cells), columns)
    ]
    return '\n'.join(rows)
