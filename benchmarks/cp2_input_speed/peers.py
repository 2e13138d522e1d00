"""The pipelines that are compared."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from copy_paste_speed.timing import Peer

from cp2_input_speed.reference import ReleasedPipeline
from mmcp.datasets import CopyPastePairDataset, UnlabeledImageDataset
from mmcp.datasets.sample_index import SampleIndex

RELEASED = 'released pipeline (PIL)'
DATASET = 'mmcp, backgrounds from the data set'
BATCH = 'mmcp, backgrounds from the batch'
DATASET_MODEL = f'{DATASET}, jitter on the device'
BATCH_MODEL = f'{BATCH}, jitter on the device'
FLOOR_3 = 'floor: 3 decodes'
FLOOR_1 = 'floor: 1 decode'
OPTIONS: dict[str, dict[str, Any]] = {
    DATASET: {},
    BATCH: {'backgrounds': 'batch'},
    DATASET_MODEL: {'augment': 'model'},
    BATCH_MODEL: {'augment': 'model', 'backgrounds': 'batch'},
}

Sample = Callable[[int], Any]


def make_peers(
    folder: Path, paths: Sequence[Path], chunk: int, warm_up: int = 1
) -> list[Peer]:
    """Makes all of them.

    Args:
        folder: The images.
        paths: The same, one by one.
        chunk: Samples in one repetition.
        warm_up: Repetitions that do not count. Defaults to 1.

    Returns:
        The peers. Repetition ``k`` has the same foregrounds in all.
    """
    samples: dict[str, Sample] = {
        RELEASED: ReleasedPipeline(paths).__getitem__
    }
    images = UnlabeledImageDataset(str(folder))
    for name, options in OPTIONS.items():
        samples[name] = _seeded(CopyPastePairDataset(images, **options))
    samples[FLOOR_3] = _Decodes(paths, 3)
    samples[FLOOR_1] = _Decodes(paths, 1)
    order = np.random.default_rng(0).permutation(len(paths)).tolist()
    return [
        Peer(
            name,
            [_repeated(sample, order, chunk)],
            prepare=_seed,
            warm_up=warm_up,
        )
        for name, sample in samples.items()
    ]


def _seeded(dataset: CopyPastePairDataset) -> Sample:
    # As a sampler gives them: draws belong to the sample.
    return lambda index: dataset[SampleIndex(index, index, 0)]


def _repeated(
    sample: Sample, order: Sequence[int], chunk: int
) -> Callable[[int], None]:
    def run(number: int) -> None:
        for place in range(number * chunk, (number + 1) * chunk):
            sample(order[place % len(order)])

    return run


def _seed(number: int) -> int:
    random.seed(number)
    torch.manual_seed(number)
    return number


class _Decodes:
    """Reads and decodes images and does nothing else.

    Args:
        paths: The images.
        count: How many a sample.
    """

    def __init__(self, paths: Sequence[Path], count: int) -> None:
        self.paths = paths
        self.count = count

    def __call__(self, index: int) -> None:
        """Decodes an image and others."""
        others = [random.randrange(len(self.paths)) for _ in range(self.count)]
        for place in [index, *others][: self.count]:
            content = np.fromfile(self.paths[place], np.uint8)
            cv2.imdecode(content, cv2.IMREAD_COLOR)
