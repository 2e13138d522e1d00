"""Detections in the format of COCO's and LVIS's evaluation servers."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rle = dict[str, Any]


@dataclass(frozen=True, eq=False)
class ImageDetections:
    """All detections of an image.

    Attributes:
        image_id: Id of the image.
        category_ids: Shape (N,).
        boxes: ``xywh`` in the image's own pixels, shape (N, 4).
        scores: Shape (N,).
        masks: N compressed run lengths; None if there are none.
        mask_scores: Scores of the masks, shape (N,).
    """

    image_id: int
    category_ids: NDArray[np.int64]
    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    masks: Sequence[Rle] | None
    mask_scores: NDArray[np.float64]


def write_results(
    detections: Iterable[ImageDetections], prefix: str, metrics: Sequence[str]
) -> list[Path]:
    """Writes ``<prefix>.bbox.json`` and ``<prefix>.segm.json``.

    One detection after the other, so that no second copy is in memory. Masks
    come without boxes, or the official evaluations would sort them into area
    ranges by the boxes.

    Args:
        detections: Of each image.
        prefix: Start of the paths; folders are made.
        metrics: Which files to write, ``'bbox'`` or ``'segm'`` or both.

    Returns:
        The files' paths.
    """
    detections = list(detections)
    rows = {'bbox': _boxes, 'segm': _masks}
    paths = [Path(f'{prefix}.{metric}.json') for metric in metrics]
    for metric, path in zip(metrics, paths, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open('w') as file:
            start = '['
            for one in detections:
                for row in rows[metric](one):
                    file.write(start + json.dumps(row))
                    start = ',\n'
            file.write('[]' if start == '[' else ']')
    return paths


def _boxes(image: ImageDetections) -> Iterator[dict[str, Any]]:
    columns = zip(
        image.category_ids.tolist(),
        image.boxes.tolist(),
        image.scores.tolist(),
        strict=True,
    )
    for category, box, score in columns:
        yield dict(
            image_id=image.image_id,
            category_id=category,
            bbox=box,
            score=score,
        )


def _masks(image: ImageDetections) -> Iterator[dict[str, Any]]:
    columns = zip(
        image.category_ids.tolist(),
        image.masks or (),
        image.mask_scores.tolist(),
        strict=True,
    )
    for category, mask, score in columns:
        height, width = mask['size']
        counts = mask['counts']
        if isinstance(counts, bytes):
            counts = counts.decode()
        yield dict(
            image_id=image.image_id,
            category_id=category,
            segmentation=dict(size=[height, width], counts=counts),
            score=score,
        )
