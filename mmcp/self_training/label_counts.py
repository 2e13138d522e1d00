"""What a set of pseudo-labels consists of."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 50


class LabelCounts:
    """Counts objects by class and by score.

    Args:
        categories: COCO categories, K of them.

    Attributes:
        names: Names of the K categories.
        histogram: Objects of each category in ``BINS`` equal ranges of
            scores from 0 to 1, shape (K, BINS).
        images: Number of images.
        empty: Number of images without an object.
    """

    def __init__(self, categories: Sequence[Mapping[str, Any]]) -> None:
        self.names = [str(category['name']) for category in categories]
        self._rows = {c['id']: row for row, c in enumerate(categories)}
        self.histogram: NDArray[np.int64] = np.zeros(
            (len(categories), BINS), np.int64
        )
        self.images = 0
        self.empty = 0

    @property
    def objects(self) -> NDArray[np.int64]:
        """Number of objects of each category, shape (K,)."""
        totals: NDArray[np.int64] = self.histogram.sum(1)
        return totals

    def add(self, annotations: Iterable[Mapping[str, Any]]) -> None:
        """Counts an image.

        Args:
            annotations: With ``category_id`` and ``score``.
        """
        count = 0
        for annotation in annotations:
            row = self._rows[annotation['category_id']]
            column = min(int(annotation['score'] * BINS), BINS - 1)
            self.histogram[row, column] += 1
            count += 1
        self.images += 1
        self.empty += not count

    def to_dict(self) -> dict[str, Any]:
        """The counts as JSON holds them."""
        objects = self.objects.tolist()
        return dict(
            images=self.images,
            images_without_objects=self.empty,
            objects=sum(objects),
            objects_per_class=dict(zip(self.names, objects, strict=True)),
            scores=self.histogram.sum(0).tolist(),
        )
