"""Predictions of a detector as annotations of COCO's form."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

# MMDetection's data sets leave out what is smaller in either direction.
_LEAST_SIDE = 1.0
_SCORE_DIGITS = 6
_BOX_DIGITS = 2


def to_annotations(
    prediction: Any,
    thresholds: NDArray[np.float32],
    category_ids: Sequence[int],
    max_per_image: int | None = None,
) -> list[dict[str, Any]]:
    """Keeps the predictions of an image that are certain enough.

    Args:
        prediction: A ``DetDataSample`` with ``pred_instances``: ``bboxes``
            (M, 4) in ``xyxy`` and pixels of the original image, ``scores``
            (M,), ``labels`` (M,) and, from models that predict them,
            ``masks`` (M, H, W).
        thresholds: Lowest score of each of the K classes, shape (K,).
        category_ids: Category of each class, K of them.
        max_per_image: Most objects kept, those of the highest scores.
            Defaults to None, meaning all.

    Returns:
        Annotations by falling score, without ``id`` and ``image_id``:
        ``category_id``, ``bbox`` (``xywh``), ``area``, ``score``,
        ``iscrowd`` and, where there are masks, ``segmentation`` as a
        compressed RLE of text. Objects without a pixel or with a side below
        one pixel, which training would leave out, are left out.

    Raises:
        ValueError: If the model has more classes than there are thresholds.
    """
    instances = prediction.pred_instances
    scores = instances.scores.float().cpu().numpy()
    labels = instances.labels.cpu().numpy()
    if labels.size and labels.max() >= len(thresholds):
        raise ValueError(
            f'the model predicts class {labels.max()}, but has names for '
            f'{len(thresholds)} classes only'
        )
    boxes = instances.bboxes.float().cpu().numpy()
    order = np.argsort(-scores, kind='stable')
    order = order[scores[order] >= thresholds[labels[order]]]
    annotations: list[dict[str, Any]] = []
    for index in order:
        if len(annotations) == max_per_image:
            break
        shape = _shape_of(instances, int(index), boxes[index])
        if shape is not None:
            annotations.append(
                dict(
                    category_id=category_ids[labels[index]],
                    **shape,
                    score=round(float(scores[index]), _SCORE_DIGITS),
                    iscrowd=0,
                )
            )
    return annotations


def _shape_of(
    instances: Any, index: int, box: NDArray[np.float32]
) -> dict[str, Any] | None:
    """Box, area and mask of an object; None if there is too little of it."""
    x0, y0, x1, y1 = (float(v) for v in box)
    width, height = x1 - x0, y1 - y0
    if width < _LEAST_SIDE or height < _LEAST_SIDE:
        return None
    bbox = [round(v, _BOX_DIGITS) for v in (x0, y0, width, height)]
    if 'masks' not in instances:
        return dict(bbox=bbox, area=round(width * height, _BOX_DIGITS))
    mask = instances.masks[index].cpu().numpy().astype(np.uint8)
    rle = coco_mask.encode(np.asfortranarray(mask))
    area = float(coco_mask.area(rle))
    if not area:
        return None
    counts = rle['counts'].decode('ascii')
    size = [int(side) for side in rle['size']]
    return dict(
        bbox=bbox, area=area, segmentation=dict(size=size, counts=counts)
    )
