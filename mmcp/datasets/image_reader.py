"""Images of any data set, as they are stored."""

from typing import Any

import cv2
import numpy as np
from mmengine import fileio
from mmengine.logging import print_log

from mmcp.datasets.sample_index import at, seeded
from mmcp.datasets.unlabeled_image_dataset import UnreadableImage
from mmcp.functional.decoding import EncodedImage, PixelImage

__all__ = ['ImageReader']

_WARNINGS = 5
_WARNING = 30


class ImageReader:
    """Opens images of a data set without decoding them, where that is known.

    Args:
        dataset: A :class:`mmcp.UnlabeledImageDataset`, or any data set whose
            items have ``img``, an image as ``LoadImageFromFile`` gives it
            (BGR, uint8), or ``img_path``. Of others the pipeline runs first.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        self._reported: set[int] = set()

    def __len__(self) -> int:
        """Number of images."""
        return len(self.dataset)

    def open(
        self, index: int, place: int
    ) -> tuple[EncodedImage | PixelImage, str]:
        """Opens an image.

        Args:
            index: The index that the sampler gave, which seeds the data set's
                own pipeline if it has one.
            place: Which image.

        Returns:
            The image and its path, '' if the data set does not say it.

        Raises:
            UnreadableImage: If it cannot be read.
            UndecodableImage: If its header says that it is damaged.
            TypeError: If the data set gives no images.
        """
        if hasattr(self.dataset, 'read'):
            content = self.dataset.read(place)
            return EncodedImage(content), self.dataset.path(place)
        with seeded(index):
            item = self.dataset[at(index, place)]
        if not isinstance(item, dict) or not {'img', 'img_path'} & set(item):
            raise TypeError(
                f'{type(self.dataset).__name__} gives no images: its items '
                "must be dicts with 'img' or 'img_path', as without a "
                'pipeline or with LoadImageFromFile alone'
            )
        path = str(item.get('img_path', ''))
        if 'img' in item:
            return _decoded(item['img'], path), path
        try:
            content = fileio.get(path)
        except OSError as error:
            raise UnreadableImage(str(error)) from error
        return EncodedImage(content), path

    def report(self, place: int, error: Exception) -> None:
        """Counts an image that cannot be used, and warns of the first ones.

        Args:
            place: Which image.
            error: What is wrong with it.
        """
        if hasattr(self.dataset, 'report_unreadable'):
            self.dataset.report_unreadable(place)
            return
        if place in self._reported:
            return
        self._reported.add(place)
        count = len(self._reported)
        if count <= _WARNINGS:
            last = '; no more are shown' if count == _WARNINGS else ''
            print_log(
                f'unreadable image {place}: {error}; another one takes its '
                f'place{last}',
                logger='current',
                level=_WARNING,
            )


def _decoded(image: Any, path: str) -> PixelImage:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        found = getattr(image, 'dtype', type(image).__name__)
        raise TypeError(
            f"'img' of {path or 'an item'} must be a uint8 array, but is "
            f'{found}; leave normalisation to the data preprocessor'
        )
    if image.ndim == 2 or image.shape[2] == 1:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    return PixelImage(image[..., :3])
