"""Centre crops of labelled images, for monitors of a pretraining."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from mmcp.datasets.unlabeled_image_dataset import (
    UnlabeledImageDataset,
    UnreadableImage,
)
from mmcp.functional.decoding import EncodedImage, UndecodableImage

__all__ = ['UNREADABLE', 'LabeledCrops']

UNREADABLE = -1
# As everywhere for ImageNet: the short side is 256 for a crop of 224.
_BORDER = 256 / 224


class LabeledCrops(Dataset[tuple[Tensor, int]]):
    """Crops the centre of labelled images.

    An item is a crop, shape (3, size, size), uint8, RGB, and the place of its
    class in `classes`. A file that cannot be read gives a black image and the
    label `UNREADABLE`; the data set inside reports it.

    Args:
        dataset: The images, with `labels=True`.
        size: Side of the crops in pixels. Defaults to 224.
        max_images: At most so many images, evenly spread over the data set,
            which is sorted by path and so by class. Defaults to None, meaning
            all.
        classes: Names of the classes. Defaults to None, those of `dataset`.

    Raises:
        ValueError: If `dataset` has a class that is not in `classes`.
    """

    def __init__(
        self,
        dataset: UnlabeledImageDataset,
        size: int = 224,
        max_images: int | None = None,
        classes: Sequence[str] | None = None,
    ) -> None:
        own = dataset.metainfo['classes']
        self.classes = tuple(own if classes is None else classes)
        unknown = sorted(set(own) - set(self.classes))
        if unknown:
            raise ValueError(
                f'{len(unknown)} classes are not among the '
                f'{len(self.classes)} of the other data set: '
                f'{", ".join(unknown[:5])}'
            )
        places = {name: place for place, name in enumerate(self.classes)}
        self._labels = [places[name] for name in own]
        self.dataset = dataset
        self.size = size
        count = len(dataset)
        if max_images is not None:
            count = min(count, max_images)
        self._indices = np.arange(count) * len(dataset) // count

    def __len__(self) -> int:
        """Number of crops."""
        return len(self._indices)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        """Reads an image and crops it.

        Args:
            place: Place among those that are used.

        Returns:
            The crop and the label.
        """
        index = int(self._indices[place])
        image = self._decode(index)
        if image is None:
            black = torch.zeros((3, self.size, self.size), dtype=torch.uint8)
            return black, UNREADABLE
        crop = _centre_crop(image, self.size)
        pixels = np.ascontiguousarray(crop[..., ::-1].transpose(2, 0, 1))
        label = self._labels[self.dataset[index]['gt_label']]
        return torch.from_numpy(pixels), label

    def _decode(self, index: int) -> NDArray[np.uint8] | None:
        try:
            image = EncodedImage(self.dataset.read(index))
            least = min(image.size)
            wanted = round(self.size * _BORDER)
            return image.decode(
                next((r for r in (8, 4, 2) if least >= r * wanted), 1)
            )
        except UndecodableImage:
            self.dataset.report_unreadable(index)
        except UnreadableImage:  # reported already
            pass
        return None


def _centre_crop(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Scales and crops an image of shape (H, W, 3) to (size, size, 3)."""
    height, width = image.shape[:2]
    factor = round(size * _BORDER) / min(height, width)
    extent = (
        max(size, round(width * factor)),
        max(size, round(height * factor)),
    )
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    scaled = cv2.resize(image, extent, interpolation=method)
    top = (scaled.shape[0] - size) // 2
    left = (scaled.shape[1] - size) // 2
    return np.asarray(scaled[top : top + size, left : left + size], np.uint8)
