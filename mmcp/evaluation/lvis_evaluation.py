"""AP of LVIS, image by image: only flags of the detections are kept.

The official evaluation keeps an entry for every pair of an image and a
category, 24 million on the validation set. Here an image is matched as soon
as its detections are known, and what stays of one of them is its category,
its score and two bits for each IoU threshold and area range.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as mask_api

from mmcp.evaluation.lvis_annotations import (
    FREQUENCIES,
    LVISAnnotations,
    LVISImage,
    Rle,
)
from mmcp.functional.average_precision import (
    box_ious,
    interpolate_precision,
    match_greedily,
)

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MAX_DETECTIONS = 300
# Bit-equal to the official thresholds: AP50 and AP75 are found by equality.
IOU_THRESHOLDS: Floats = np.linspace(0.5, 0.95, 10, dtype=np.float64)
RECALLS: Floats = np.linspace(0.0, 1.0, 101, dtype=np.float64)
AREA_NAMES = ('all', 's', 'm', 'l')
AREA_RANGES = np.array(
    [(0, 1e10), (0, 32**2), (32**2, 96**2), (96**2, 1e10)], np.float64
)
_FLAGS = len(AREA_NAMES) * len(IOU_THRESHOLDS)


@dataclass(frozen=True, eq=False)
class ImageMatches:
    """What is kept of an image's N detections.

    Attributes:
        image_id: Id of the image.
        classes: Category indices, shape (N,), int32; those of one category
            stand by falling score.
        scores: Shape (N,).
        right: Whether it is a right detection for each area range and IoU
            threshold, as packed bits, shape (N, 5), uint8.
        wrong: Whether it is a wrong one; what is ignored is neither.
    """

    image_id: int
    classes: NDArray[np.int32]
    scores: Floats
    right: NDArray[np.uint8]
    wrong: NDArray[np.uint8]


def select(
    image: LVISImage,
    classes: Ints,
    scores: Floats,
    max_detections: int = MAX_DETECTIONS,
) -> Ints:
    """Chooses the detections that the evaluation looks at.

    The best of all categories together, and of these the ones of categories
    that are known to be in the image or not to be.

    Args:
        image: What is known of the image.
        classes: Category indices, shape (N,).
        scores: Shape (N,).
        max_detections: How many are the best; negative means all. Defaults
            to 300.

    Returns:
        Their places, by falling score.
    """
    best = np.argsort(-scores, kind='stable')
    if max_detections >= 0:
        best = best[:max_detections]
    chosen: Ints = best[np.isin(classes[best], image.known)]
    return chosen


def match_boxes(
    image_id: int,
    image: LVISImage,
    classes: Ints,
    scores: Floats,
    boxes: Floats,
) -> ImageMatches:
    """Matches the boxes of an image.

    Args:
        image_id: Id of the image.
        image: What is known of it.
        classes: Category indices of what :func:`select` chose, shape (N,).
        scores: Falling, shape (N,).
        boxes: ``xywh``, shape (N, 4).

    Returns:
        What is to be kept.
    """
    areas = boxes[:, 2] * boxes[:, 3]
    kept = areas > 0
    ious = box_ious(boxes[kept], image.boxes)
    return _match(
        image_id, image, classes[kept], scores[kept], areas[kept], ious
    )


def match_masks(
    image_id: int,
    image: LVISImage,
    classes: Ints,
    scores: Floats,
    masks: Sequence[Rle],
) -> ImageMatches:
    """Matches the masks of an image.

    Args:
        image_id: Id of the image.
        image: What is known of it.
        classes: Category indices of what :func:`select` chose, shape (N,).
        scores: Falling, shape (N,).
        masks: N compressed run lengths of the image's size.

    Returns:
        What is to be kept.

    Raises:
        ValueError: If a mask has another size than the image.
    """
    for mask in masks:
        if tuple(mask['size']) != image.size:
            raise ValueError(
                f'image {image_id} is {image.size} high and wide in the '
                f'annotation file, but a mask of it is {tuple(mask["size"])}'
            )
    # One by one: pycocotools fails at 256 on numpy 2.
    areas = np.array([mask_api.area(mask) for mask in masks], np.float64)
    kept = np.flatnonzero(areas > 0)
    classes = classes[kept]
    ious = _mask_ious([masks[i] for i in kept], classes, image)
    return _match(image_id, image, classes, scores[kept], areas[kept], ious)


def _mask_ious(masks: list[Rle], classes: Ints, image: LVISImage) -> Floats:
    """IoUs, shape (N, M); 0 between different categories."""
    ious = np.zeros((len(masks), len(image.classes)))
    shared = np.intersect1d(classes, image.classes)
    truths = image.masks() if len(shared) else []
    for category in shared:
        rows = np.flatnonzero(classes == category)
        columns = np.flatnonzero(image.classes == category)
        ious[np.ix_(rows, columns)] = mask_api.iou(
            [masks[i] for i in rows],
            [truths[i] for i in columns],
            [0] * len(columns),
        )
    return ious


def _match(
    image_id: int,
    image: LVISImage,
    classes: Ints,
    scores: Floats,
    areas: Floats,
    ious: Floats,
) -> ImageMatches:
    ignored = image.ignored | _outside(image.areas)
    matched, at_ignored = match_greedily(
        ious, classes, image.classes, ignored, IOU_THRESHOLDS
    )
    # What lies outside the range or may be an object nobody annotated does
    # no harm.
    harmless = _outside(areas) | np.isin(classes, image.not_exhaustive)
    return ImageMatches(
        image_id,
        classes.astype(np.int32),
        scores,
        _pack(matched & ~at_ignored),
        _pack(~(matched | harmless[:, None])),
    )


def _outside(areas: Floats) -> Bools:
    """Which areas lie outside each range, shape (A, N)."""
    low, high = AREA_RANGES[:, :1], AREA_RANGES[:, 1:]
    return (areas < low) | (areas > high)


def _pack(flags: Bools) -> NDArray[np.uint8]:
    return np.packbits(flags.reshape(_FLAGS, -1).T, axis=1)


def _unpack(bits: NDArray[np.uint8]) -> Bools:
    flags = np.unpackbits(bits, axis=1, count=_FLAGS).view(np.bool_)
    return np.ascontiguousarray(flags.T).reshape(
        len(AREA_NAMES), len(IOU_THRESHOLDS), -1
    )


class LVISSummary:
    """Precision and recall of all categories, and their means.

    Args:
        annotations: All images of the data set; an image without detections
            counts.
        matches: Of each image at most once.
        categories: Indices of the categories to evaluate, shape (C,).
            Defaults to None, meaning all.

    Attributes:
        precision: At each IoU threshold and of 101 recalls, for each
            category and area range, shape (10, 101, C, 4); -1 where there
            are no objects.
        recall: Shape (10, C, 4).
    """

    def __init__(
        self,
        annotations: LVISAnnotations,
        matches: Iterable[ImageMatches],
        categories: Ints | None = None,
    ) -> None:
        if categories is None:
            categories = np.arange(len(annotations.names))
        self.categories = categories
        self.names = [annotations.names[i] for i in categories]
        self._frequencies = np.array(
            [annotations.frequencies[i] for i in categories], str
        )
        thresholds, areas = len(IOU_THRESHOLDS), len(AREA_NAMES)
        self.precision = np.full(
            (thresholds, len(RECALLS), len(categories), areas), -1.0
        )
        self.recall = np.full((thresholds, len(categories), areas), -1.0)
        positives = _count_objects(annotations)[:, categories]
        detections = _ByCategory(matches, len(annotations.names))
        for place, category in enumerate(categories):
            self._fill(place, positives[:, place], *detections[category])

    def _fill(
        self, place: int, positives: Ints, right: Bools, wrong: Bools
    ) -> None:
        lanes = itertools.product(
            np.flatnonzero(positives), range(len(IOU_THRESHOLDS))
        )
        for area, threshold in lanes:
            precision, recall = interpolate_precision(
                right[area, threshold],
                wrong[area, threshold],
                positives[area],
                RECALLS,
            )
            self.precision[threshold, :, place, area] = precision
            self.recall[threshold, place, area] = recall

    def results(self) -> dict[str, float]:
        """The official results, not rounded.

        Returns:
            AP, AP50, AP75, APs, APm, APl, APr, APc, APf, AR@300, ARs@300,
            ARm@300 and ARl@300 in [0, 1]; -1 where there are no objects.
        """
        found = {'AP': _mean(self.precision[..., 0])}
        for iou in (0.5, 0.75):
            at = iou == IOU_THRESHOLDS
            found[f'AP{iou * 100:.0f}'] = _mean(self.precision[at][..., 0])
        for area, name in list(enumerate(AREA_NAMES))[1:]:
            found[f'AP{name}'] = _mean(self.precision[..., area])
        for name in FREQUENCIES:
            chosen = self.precision[:, :, self._frequencies == name, 0]
            found[f'AP{name}'] = _mean(chosen)
        for area, name in enumerate(('', *AREA_NAMES[1:])):
            key = f'AR{name}@{MAX_DETECTIONS}'
            found[key] = _mean(self.recall[..., area])
        return found

    def by_category(self) -> dict[str, float]:
        """AP of each category that has objects, by its name."""
        with_objects = self.recall[0, :, 0] > -1
        return {
            name: _mean(self.precision[:, :, place, 0])
            for place, name in enumerate(self.names)
            if with_objects[place]
        }


def _mean(values: Floats) -> float:
    known = values[values > -1]
    return float(known.mean()) if known.size else -1.0


def _count_objects(annotations: LVISAnnotations) -> Ints:
    """Objects that are not ignored, shape (A, categories)."""
    size = len(annotations.names)
    counts = np.zeros((len(AREA_NAMES), size), np.int64)
    for image in annotations.images.values():
        used = ~(image.ignored | _outside(image.areas))
        for area, chosen in enumerate(used):
            np.add.at(counts[area], image.classes[chosen], 1)
    return counts


class _ByCategory:
    """Flags of all detections of a category, by falling score."""

    def __init__(self, matches: Iterable[ImageMatches], size: int) -> None:
        # Of equal scores the detection of the first image comes first.
        parts = sorted(matches, key=lambda one: one.image_id)
        classes = np.concatenate(
            [np.zeros(0, np.int32), *(one.classes for one in parts)]
        )
        scores = np.concatenate([[], *(one.scores for one in parts)])
        order = np.lexsort((-scores, classes))
        self._starts = np.searchsorted(classes[order], np.arange(size + 1))
        none = np.zeros((0, _FLAGS // 8), np.uint8)
        right = np.concatenate([none, *(one.right for one in parts)])
        self._right = right[order]
        wrong = np.concatenate([none, *(one.wrong for one in parts)])
        self._wrong = wrong[order]

    def __getitem__(self, category: int) -> tuple[Bools, Bools]:
        """Right and wrong ones, both of shape (A, T, N)."""
        rows = slice(self._starts[category], self._starts[category + 1])
        return _unpack(self._right[rows]), _unpack(self._wrong[rows])


def evaluate_results(
    annotations: LVISAnnotations,
    results: Iterable[Mapping[str, Any]],
    metric: str,
) -> LVISSummary:
    """Evaluates detections in the format of COCO's result files.

    Area ranges of masks go by the masks. The official evaluation takes the
    area of ``bbox`` instead where masks come with one; leave it out there.

    Args:
        annotations: Of the whole data set.
        results: Dicts with ``image_id``, ``category_id``, ``score`` and
            either ``bbox`` in ``xywh`` or ``segmentation`` as compressed
            run lengths.
        metric: ``'bbox'`` or ``'segm'``.

    Returns:
        Precision and recall.

    Raises:
        ValueError: If a detection's image is unknown or a mask has another
            size than its image, or if ``metric`` is neither of the two.
    """
    if metric not in ('bbox', 'segm'):
        raise ValueError(f"metric must be 'bbox' or 'segm', is {metric!r}")
    by_image: dict[int, list[Mapping[str, Any]]] = {}
    for result in results:
        by_image.setdefault(result['image_id'], []).append(result)
    unknown = sorted({*by_image} - {*annotations.images})
    if unknown:
        raise ValueError(
            f'there are detections in image {unknown[0]}, which the '
            'annotations lack'
        )
    index = {key: i for i, key in enumerate(annotations.category_ids)}
    matches = (
        _match_results(key, annotations.images[key], rows, index, metric)
        for key, rows in by_image.items()
    )
    return LVISSummary(annotations, matches)


def _match_results(
    image_id: int,
    image: LVISImage,
    rows: Sequence[Mapping[str, Any]],
    index: Mapping[int, int],
    metric: str,
) -> ImageMatches:
    scores = np.array([row['score'] for row in rows], np.float64)
    # -1: a category that the data set does not have.
    classes = np.array([index.get(row['category_id'], -1) for row in rows])
    chosen = select(image, classes, scores)
    classes, scores = classes[chosen], scores[chosen]
    if metric == 'bbox':
        boxes = np.array([rows[i]['bbox'] for i in chosen], np.float64)
        boxes = boxes.reshape(-1, 4)
        return match_boxes(image_id, image, classes, scores, boxes)
    masks = [rows[i]['segmentation'] for i in chosen]
    return match_masks(image_id, image, classes, scores, masks)
