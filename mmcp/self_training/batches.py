"""Batches of images for the teacher, made by worker processes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope
from torch.utils.data import DataLoader, Dataset

from mmcp.engine.signals import protect_workers
from mmcp.self_training.image_list import Entry, ImageList


@dataclass(frozen=True)
class Sample:
    """An image on its way to the teacher.

    Attributes:
        entry: Its entry in the COCO file.
        inputs: What the pipeline gave; None if it cannot be read.
        reason: Why it cannot be read.
    """

    entry: Entry
    inputs: Any
    reason: str = ''


class _Images(Dataset[Sample]):
    """Runs the test pipeline.

    Args:
        images: The images.
        pipeline: Configs of the transforms; the first one loads.
        scope: Default scope of the transforms.
    """

    def __init__(
        self, images: ImageList, pipeline: Sequence[Any], scope: str
    ) -> None:
        self.images = images
        with DefaultScope.overwrite_default_scope(scope):
            self._load, *rest = Compose(pipeline).transforms
            self._process = Compose(rest)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Sample:
        entry = self.images[index]
        path = self.images.path(entry)
        try:
            loaded = self._load(dict(img_path=path, img_id=entry['id']))
        # Decoders have errors of many kinds, AssertionError among them.
        except Exception as error:
            return Sample(entry, None, _one_line(error))
        if loaded is None:
            return Sample(entry, None, 'the pipeline gave nothing')
        return Sample(entry, self._process(loaded))


def load_batches(
    images: ImageList,
    pipeline: Sequence[Any],
    batches: Sequence[Sequence[int]],
    *,
    workers: int,
    scope: str,
) -> DataLoader[list[Sample]]:
    """Loads images in batches.

    Args:
        images: The images.
        pipeline: Configs of the test pipeline, without annotations.
        batches: Indices of the images of each batch.
        workers: Number of worker processes; 0 for none.
        scope: Default scope of the pipeline.

    Returns:
        A loader that gives one list of samples for each batch, in order.
    """
    loader: Any = DataLoader(
        _Images(images, pipeline, scope),
        batch_sampler=[list(batch) for batch in batches],
        num_workers=workers,
        collate_fn=list,
        worker_init_fn=_use_one_thread,
    )
    if workers:
        protect_workers(loader)
    return loader  # type: ignore[no-any-return]


def _use_one_thread(worker: int) -> None:
    cv2.setNumThreads(0)


def _one_line(error: Exception) -> str:
    text = ' '.join(str(error).split())
    return f'{type(error).__name__}: {text}'[:200]
