"""Samples a second from a ``DataLoader`` with worker processes."""

import time
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

WORKERS = 2
BATCH = 4


def _start_worker(_: int) -> None:
    cv2.setNumThreads(0)


def measure_loaders(
    datasets: Mapping[str, Any], samples: int, rounds: int
) -> dict[str, dict[str, float]]:
    """Iterates all loaders in turns.

    Args:
        datasets: Data sets by name.
        samples: Samples a round, a multiple of the batch size of 4.
        rounds: Rounds that count; one more warms up.

    Returns:
        For each name the median, least and greatest samples a second.
    """
    loaders = {
        name: DataLoader(
            dataset,
            batch_size=BATCH,
            sampler=[number % len(dataset) for number in range(samples)],
            num_workers=WORKERS,
            collate_fn=pseudo_collate,
            persistent_workers=True,
            worker_init_fn=_start_worker,
        )
        for name, dataset in datasets.items()
    }
    rates: dict[str, list[float]] = {name: [] for name in loaders}
    for turn in range(rounds + 1):
        for name, loader in loaders.items():
            begin = time.perf_counter()
            for _ in loader:
                pass
            if turn:
                rate = samples / (time.perf_counter() - begin)
                rates[name].append(rate)
    return {
        name: {
            'median': float(np.median(values)),
            'low': min(values),
            'high': max(values),
        }
        for name, values in rates.items()
    }
