"""Matching of detections and interpolated precision, as COCO and LVIS do."""

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_BELOW_ONE = 1 - 1e-10


def box_ious(detections: Floats, truths: Floats) -> Floats:
    """Intersection over union of boxes, bit-equal to pycocotools'.

    Args:
        detections: Boxes of positive area, ``xywh``, shape (N, 4).
        truths: Boxes of positive area, ``xywh``, shape (M, 4).

    Returns:
        Shape (N, M).
    """
    first, second = detections[:, None], truths[None]
    ends = np.minimum(
        first[..., :2] + first[..., 2:], second[..., :2] + second[..., 2:]
    )
    sides = ends - np.maximum(first[..., :2], second[..., :2])
    common = np.where((sides > 0).all(-1), sides[..., 0] * sides[..., 1], 0.0)
    areas = [boxes[..., 2] * boxes[..., 3] for boxes in (first, second)]
    return np.asarray(common / (areas[0] + areas[1] - common))


def match_greedily(
    ious: Floats,
    detection_classes: Ints,
    truth_classes: Ints,
    ignored: Bools,
    thresholds: Floats,
) -> tuple[Bools, Bools]:
    """Gives each detection of an image the truth it matches, best score first.

    A detection takes the free truth of its class with the largest IoU, if
    that reaches the threshold; the last one of several equal ones. Only if
    there is none does it take an ignored truth. All thresholds and area
    ranges are matched at once, the k-th detection of every class too.

    Args:
        ious: Shape (N, M); values between different classes are not used.
        detection_classes: Shape (N,). Detections of a class are ordered by
            falling score.
        truth_classes: Shape (M,).
        ignored: Which truths are ignored in each of A area ranges, shape
            (A, M).
        thresholds: T thresholds of the IoU.

    Returns:
        Which detections match a truth, and which match an ignored one, each
        of shape (A, T, N).
    """
    shape = (len(ignored), len(thresholds), len(ious))
    matched = np.zeros(shape, np.bool_)
    at_ignored = np.zeros(shape, np.bool_)
    same = detection_classes[:, None] == truth_classes
    ious = np.where(same, ious, -1.0)
    needed = np.minimum(thresholds, _BELOW_ONE)
    hopeful = np.flatnonzero(ious.max(1, initial=-1.0) >= needed.min())
    ranks = _ranks(detection_classes[hopeful])
    free = np.ones((*shape[:2], ious.shape[1]), np.bool_)
    for rank in range(ranks.max(initial=-1) + 1):
        rows = hopeful[ranks == rank]
        found, chosen = _choose(ious[rows], free, ignored, needed)
        area = np.arange(shape[0])[:, None]
        matched[..., rows] = np.moveaxis(found, 0, -1)
        at_ignored[..., rows] = np.moveaxis(
            found & ignored[area, chosen], 0, -1
        )
        row, area, threshold = np.nonzero(found)
        free[area, threshold, chosen[row, area, threshold]] = False
    return matched, at_ignored


def _ranks(classes: Ints) -> Ints:
    """How many of the same class stand before each element."""
    order = np.argsort(classes, kind='stable')
    ordered = classes[order]
    starts = np.searchsorted(ordered, ordered)
    ranks = np.empty(len(classes), np.int64)
    ranks[order] = np.arange(len(classes)) - starts
    return ranks


def _choose(
    ious: Floats, free: Bools, ignored: Bools, needed: Floats
) -> tuple[Bools, Ints]:
    """Best truth of one detection of each class.

    Args:
        ious: Shape (n, M).
        free: Shape (A, T, M).
        ignored: Shape (A, M).
        needed: Shape (T,).

    Returns:
        Whether there is one, and which; both of shape (n, A, T).
    """
    values = ious[:, None, None, :]
    able = free & (values >= needed[:, None])
    regular = able & ~ignored[:, None]
    some = regular.any(-1, keepdims=True)
    able = np.where(some, regular, able)
    # argmax gives the first of equal ones, the rule asks for the last.
    backwards = np.where(able, values, -1.0)[..., ::-1]
    chosen = ious.shape[1] - 1 - backwards.argmax(-1)
    return np.asarray(able.any(-1)), chosen


def interpolate_precision(
    true: Bools, false: Bools, positives: int, recalls: Floats
) -> tuple[Floats, float]:
    """Precision at given recalls, the largest at that recall or above.

    Args:
        true: Whether each detection is right, by falling score, shape (N,).
        false: Whether it is wrong, shape (N,); one that is ignored is
            neither.
        positives: Number of truths, > 0.
        recalls: Shape (R,).

    Returns:
        Precision, shape (R,), 0 beyond the largest recall, and that recall.
    """
    # Recall, and precision's maxima, change at right detections only.
    places = np.flatnonzero(true)
    rights = np.arange(1.0, len(places) + 1)
    wrongs = np.cumsum(false)[places]
    precision = rights / (wrongs + rights + np.spacing(1))
    best = np.maximum.accumulate(precision[::-1])[::-1]
    reached = np.searchsorted(rights / positives, recalls, side='left')
    padded = np.append(best, 0.0)
    return padded[reached], len(places) / positives
