"""A COCO data set of a few random ellipses, made in milliseconds."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco_mask

NUM_IMAGES = 4
OBJECTS_PER_IMAGE = 3
# (H, W): neither square nor alike, so that swapped axes show.
_SIZES = ((96, 128), (128, 88), (80, 80), (112, 144))


def make_tiny_coco(root: Path, classes: Sequence[str], seed: int = 0) -> Path:
    """Writes four images with polygons, a crowd region and an empty image.

    Args:
        root: Folder to write into, made if missing: ``images/`` and
            ``instances.json``.
        classes: Names of the categories; their ids start at 1.
        seed: Seed of the random shapes and labels. Defaults to 0.

    Returns:
        Path of the annotation file.
    """
    rng = np.random.default_rng(seed)
    (root / 'images').mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for index in range(NUM_IMAGES):
        height, width = _SIZES[index]
        name = f'{index}.png'
        image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        images.append(
            dict(id=index + 1, file_name=name, height=height, width=width)
        )
        is_empty = index == NUM_IMAGES - 1
        for _ in range(0 if is_empty else OBJECTS_PER_IMAGE):
            polygon = _ellipse(rng, height, width)
            colour = [int(c) for c in rng.integers(0, 256, 3)]
            cv2.fillPoly(image, [polygon], colour)
            annotations.append(
                dict(
                    **_annotation(polygon, height, width),
                    id=len(annotations) + 1,
                    image_id=index + 1,
                    category_id=int(rng.integers(len(classes))) + 1,
                )
            )
        cv2.imwrite(str(root / 'images' / name), image)
    _make_crowd(annotations[-1], *_SIZES[NUM_IMAGES - 2])
    path = root / 'instances.json'
    categories = [dict(id=i, name=name) for i, name in enumerate(classes, 1)]
    path.write_text(
        json.dumps(
            dict(images=images, annotations=annotations, categories=categories)
        )
    )
    return path


def _ellipse(
    rng: np.random.Generator, height: int, width: int
) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Draws a polygon of shape (P, 2), ``xy``, inside the image."""
    centre = [int(rng.integers(24, side - 24)) for side in (width, height)]
    axes = [int(a) for a in rng.integers(10, 24, 2)]
    angle = int(rng.integers(180))
    return cv2.ellipse2Poly(centre, axes, angle, 0, 360, 20)


def _annotation(
    polygon: np.ndarray[Any, np.dtype[np.int32]], height: int, width: int
) -> dict[str, Any]:
    points = [[int(v) for v in polygon.ravel()]]
    rle = coco_mask.merge(coco_mask.frPyObjects(points, height, width))
    return dict(
        segmentation=points,
        bbox=[float(v) for v in coco_mask.toBbox(rle)],  # xywh
        area=float(coco_mask.area(rle)),
        iscrowd=0,
    )


def _make_crowd(annotation: dict[str, Any], height: int, width: int) -> None:
    """Turns a polygon into an uncompressed RLE that is a crowd."""
    polygons = coco_mask.frPyObjects(annotation['segmentation'], height, width)
    flat = coco_mask.decode(coco_mask.merge(polygons)).ravel(order='F')
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *edges, flat.size]).tolist()
    if flat[0]:
        counts = [0, *counts]
    annotation['segmentation'] = dict(size=[height, width], counts=counts)
    annotation['iscrowd'] = 1
