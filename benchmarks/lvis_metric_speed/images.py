"""Annotations and detections as numerous as those of LVIS's validation set.

The numbers of objects and categories of an image are those of 100 images of
LVIS v0.5 (``lvis_val_100_full.json``): 10 objects of 3 categories, 9
categories known to be absent. Shapes are ellipses from a small stock, so that
making them takes little time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as mask_api

HEIGHT, WIDTH = 480, 640
# Of LVIS v1: rare, common and frequent categories.
FREQUENCIES = 'r' * 337 + 'c' * 461 + 'f' * 405
SHAPES, VARIANTS = 200, 8
PER_IMAGE = 300
# Detections of categories that count in the image; a detector that was
# trained finds few others.
SHARE_KNOWN = 0.5


@dataclass(frozen=True)
class Detections:
    """What a detector finds in an image, N objects.

    Attributes:
        image_id: Id of the image.
        labels: Indices of categories, shape (N,).
        scores: Shape (N,), float32 values.
        boxes: ``xyxy``, shape (N, 4).
        masks: N compressed run lengths.
    """

    image_id: int
    labels: NDArray[np.int64]
    scores: NDArray[np.float32]
    boxes: NDArray[np.float64]
    masks: list[dict[str, Any]]


class Stock:
    """Ellipses, each with variants that overlap it more or less."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        circle = np.stack([np.cos(angles), np.sin(angles)], 1)
        radii = np.exp(rng.uniform(np.log(5), np.log(100), (SHAPES, 1, 2)))
        centres = rng.uniform((100, 100), (540, 380), (SHAPES, 1, 2))
        moved = rng.normal(0, 0.15, (SHAPES, VARIANTS, 2))
        moved[:, 0] = 0
        centres = centres + moved * radii
        outlines = centres[:, :, None] + circle * radii[:, :, None]
        self.outlines = outlines.clip(0, (WIDTH, HEIGHT)).reshape(
            SHAPES, VARIANTS, -1
        )
        corners = self.outlines.reshape(SHAPES, VARIANTS, -1, 2)
        self.boxes = np.concatenate([corners.min(2), corners.max(2)], -1)
        flat = self.outlines.reshape(SHAPES * VARIANTS, -1).tolist()
        rles = mask_api.frPyObjects(flat, HEIGHT, WIDTH)
        self.counts = [rle['counts'] for rle in rles]

    def mask(self, shape: int, variant: int) -> dict[str, Any]:
        """Run lengths, in memory of their own as real ones would be."""
        counts = self.counts[shape * VARIANTS + variant]
        return dict(size=[HEIGHT, WIDTH], counts=bytes(bytearray(counts)))


def make_annotations(num_images: int, stock: Stock, seed: int) -> Any:
    """Makes the content of an annotation file.

    Args:
        num_images: Number of images.
        stock: Shapes of the objects.
        seed: Of all random numbers.

    Returns:
        A dict in LVIS's format; every object names its ``shape``.
    """
    rng = np.random.default_rng((seed, 1))
    size = len(FREQUENCIES)
    # Frequent categories, at the end, are in most images.
    chances = np.geomspace(1, 3000, size)
    chances /= chances.sum()
    images, objects = [], []
    for image_id in range(1, num_images + 1):
        names = rng.choice(size, 14, replace=False, p=chances) + 1
        present = names[: int(rng.integers(1, 6))].tolist()
        partly = present[:1] if rng.random() < 0.16 else []
        images.append(
            dict(
                id=image_id,
                height=HEIGHT,
                width=WIDTH,
                neg_category_ids=names[5:].tolist(),
                not_exhaustive_category_ids=partly,
            )
        )
        for _ in range(int(rng.integers(1, 20))):
            category, shape = int(rng.choice(present)), rng.integers(SHAPES)
            key = len(objects) + 1
            objects.append(_object(key, image_id, category, shape, stock))
    categories = [
        dict(id=i + 1, name=f'category {i + 1}', frequency=frequency)
        for i, frequency in enumerate(FREQUENCIES)
    ]
    return dict(images=images, annotations=objects, categories=categories)


def _object(
    key: int, image_id: int, category: int, shape: Any, stock: Stock
) -> dict[str, Any]:
    x1, y1, x2, y2 = stock.boxes[shape, 0].tolist()
    counts = dict(size=[HEIGHT, WIDTH], counts=stock.counts[shape * VARIANTS])
    return dict(
        id=key,
        image_id=image_id,
        category_id=category,
        shape=int(shape),
        bbox=[x1, y1, x2 - x1, y2 - y1],
        area=float(mask_api.area(counts)),
        segmentation=[stock.outlines[shape, 0].tolist()],
    )


def detect(annotations: Any, stock: Stock, seed: int) -> Iterator[Detections]:
    """Makes 300 detections of each image, one image after the other.

    Args:
        annotations: What :func:`make_annotations` made.
        stock: The same as there.
        seed: Of all random numbers.

    Yields:
        Detections of each image.
    """
    objects: dict[int, list[Any]] = {}
    for one in annotations['annotations']:
        objects.setdefault(one['image_id'], []).append(one)
    for image in annotations['images']:
        rng = np.random.default_rng((seed, 2, image['id']))
        yield _detect(image, objects[image['id']], stock, rng)


def _detect(
    image: Any, objects: list[Any], stock: Stock, rng: np.random.Generator
) -> Detections:
    known = np.array(
        [one['category_id'] for one in objects] + image['neg_category_ids']
    )
    labels = np.where(
        rng.random(PER_IMAGE) < SHARE_KNOWN,
        rng.choice(known, PER_IMAGE),
        rng.integers(1, len(FREQUENCIES) + 1, PER_IMAGE),
    )
    shapes = rng.integers(0, SHAPES, PER_IMAGE)
    scores = rng.random(PER_IMAGE) ** 3
    # Five detections of each object, some of a wrong category.
    for place, one in enumerate(objects * 5):
        shapes[place] = one['shape']
        scores[place] = rng.random()
        if rng.random() < 0.8:
            labels[place] = one['category_id']
    variants = rng.integers(0, VARIANTS, PER_IMAGE)
    return Detections(
        image['id'],
        labels - 1,
        scores.astype(np.float32),
        stock.boxes[shapes, variants],
        [stock.mask(*one) for one in zip(shapes, variants, strict=True)],
    )
