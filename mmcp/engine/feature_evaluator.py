"""What a backbone's features tell of classes, worked out by all ranks."""

from collections.abc import Callable, Iterator, Sized
from contextlib import contextmanager
from typing import Any, cast

import torch
import torch.nn.functional as F
from mmengine.dist import (
    all_gather,
    all_reduce,
    broadcast,
    get_rank,
    get_world_size,
)
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

_NOT_COUNTED = -1

# From features, shape (N, D), unit norm, to their classes, shape (N,).
Classifier = Callable[[Tensor], Tensor]
# From features and classes of the bank, shapes (B, D) and (B,).
Fit = Callable[[Tensor, Tensor], Classifier]


class FeatureEvaluator:
    """Classifies images by features, given those of labelled images.

    Every rank encodes its share of both data sets; all ranks hold the whole
    bank, of `len(bank)` x C float32 numbers. All use the buffers of the first
    rank, which a checkpoint holds, so that the accuracy is that of the
    checkpoint. The random state of the process is not touched.

    Args:
        bank: Images of known class: pairs of an image, shape (3, H, W),
            uint8, RGB, and a label. Those with negative labels do not count.
        queries: Images to classify, alike.
        fit: Makes a classifier of the features and the labels of the bank,
            the same on all ranks.
        batch_size: Images that a rank encodes at a time.
        num_workers: Processes of a rank that load images.
    """

    def __init__(
        self,
        bank: Dataset[tuple[Tensor, int]],
        queries: Dataset[tuple[Tensor, int]],
        *,
        fit: Fit,
        batch_size: int,
        num_workers: int,
    ) -> None:
        self.bank = bank
        self.queries = queries
        self.fit = fit
        self.batch_size = batch_size
        self.num_workers = num_workers

    def accuracy(
        self, backbone: nn.Module, mean: Tensor, std: Tensor
    ) -> float:
        """Encodes all images and classifies the queries.

        Args:
            backbone: In evaluation mode; see :func:`pooled_features`.
            mean: What is subtracted from images, in gray levels, shape
                (3, 1, 1).
            std: What is divided by then, shape (3, 1, 1).

        Returns:
            Top-1 accuracy in percent, the same on all ranks; nan if no query
            can be read.

        Raises:
            ValueError: If too few images of the bank can be read.
        """
        with torch.no_grad(), _first_rank_buffers(backbone):
            parts = list(self._encode(self.bank, backbone, mean, std))
            bank, labels = (
                torch.cat(all_gather(torch.cat(part)))
                for part in zip(*parts, strict=True)
            )
            counted = labels != _NOT_COUNTED
            classify = self.fit(bank[counted], labels[counted])
            right = total = 0
            for features, truth in self._encode(
                self.queries, backbone, mean, std
            ):
                right += int((classify(features) == truth).sum())
                total += int((truth != _NOT_COUNTED).sum())
        counts = torch.tensor([right, total])
        all_reduce(counts)
        return 100 * float(counts[0] / counts[1])

    def _encode(
        self,
        dataset: Dataset[tuple[Tensor, int]],
        backbone: nn.Module,
        mean: Tensor,
        std: Tensor,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields features and labels of this rank's share, in batches."""
        loader = DataLoader(
            _Share(dataset),
            batch_size=self.batch_size,
            num_workers=self.num_workers,
            # Else it would draw from the generator of the training.
            generator=torch.Generator(),
        )
        for images, labels in loader:
            features = pooled_features(backbone, images, mean, std)
            yield features, labels.to(features.device)


def pooled_features(
    backbone: nn.Module, images: Tensor, mean: Tensor, std: Tensor
) -> Tensor:
    """Encodes images by the mean over a backbone's last feature map.

    Args:
        backbone: As MMSegmentation's: gives one map (N, C, h, w) per level,
            or pairs of a map and a class token.
        images: Shape (N, 3, H, W), uint8, RGB.
        mean: What is subtracted, in gray levels, shape (3, 1, 1).
        std: What is divided by then, shape (3, 1, 1).

    Returns:
        Shape (N, C), unit norm, float32.
    """
    features = backbone((images.to(mean.device).float() - mean) / std)[-1]
    if isinstance(features, list | tuple):
        features = features[0]
    return F.normalize(features.float().mean(dim=(2, 3)), dim=1)


class _Share(Dataset[tuple[Tensor, int]]):
    """This rank's images, of the same number on all ranks.

    Args:
        dataset: The images of all ranks.
    """

    def __init__(self, dataset: Dataset[tuple[Tensor, int]]) -> None:
        self.dataset = dataset
        self.total: int = len(cast(Sized, dataset))
        self.rank: int = get_rank()
        self.world_size: int = get_world_size()

    def __len__(self) -> int:
        return -(-self.total // self.world_size)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        index = place * self.world_size + self.rank
        image, label = self.dataset[min(index, self.total - 1)]
        counted = index < self.total and label >= 0
        return image, label if counted else _NOT_COUNTED


@contextmanager
def _first_rank_buffers(model: nn.Module) -> Iterator[None]:
    """Lends all ranks the first one's running statistics and the like."""
    buffers: list[Any] = []
    if get_world_size() > 1:
        buffers = list(model.buffers())
    own = [buffer.clone() for buffer in buffers]
    for buffer in buffers:
        broadcast(buffer)
    try:
        yield
    finally:
        for buffer, saved in zip(buffers, own, strict=True):
            buffer.copy_(saved)
