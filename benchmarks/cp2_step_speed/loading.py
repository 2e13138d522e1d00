"""Trains from image files, and sees how long it waits for them."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from mmengine.dataset import default_collate, worker_init_fn
from torch.utils.data import DataLoader

from cp2_step_speed.peers import Batch, Step
from mmcp.datasets import CopyPastePairDataset, UnlabeledImageDataset
from mmcp.datasets.samplers import InfiniteSampler
from mmcp.models.data_preprocessors import CP2DataPreprocessor

# Where colours are changed, and where backgrounds come from.
KINDS = (
    ('worker', 'dataset'),
    ('worker', 'batch'),
    ('model', 'dataset'),
    ('model', 'batch'),
)


def measure_loading(
    step: Step, folder: Path, image: int, batch: int, workers: int, steps: int
) -> list[dict[str, Any]]:
    """Times training from files, for every kind of input.

    Args:
        step: The training step.
        folder: Photographs.
        image: Height and width of the views.
        batch: Samples in a batch.
        workers: Processes that load.
        steps: Steps that count; as many come before.

    Returns:
        For each kind samples per second, the share of time in which the
        device waited for data, and the number of files.
    """
    rows = []
    for augment, backgrounds in KINDS:
        dataset = CopyPastePairDataset(
            UnlabeledImageDataset(str(folder)),
            image,
            augment=augment,
            backgrounds=backgrounds,
        )
        loader = DataLoader(
            dataset,
            batch,
            sampler=InfiniteSampler(dataset, seed=0),
            num_workers=workers,
            collate_fn=default_collate,
            pin_memory=step.device.type == 'cuda',
            worker_init_fn=_one_thread,
            drop_last=True,
        )
        preprocessor = CP2DataPreprocessor(
            backgrounds=backgrounds,
            channels_last=step.way.channels_last,
            compile=step.way.compiled,
        ).to(step.device)
        stream = iter(loader)
        _run(step, stream, preprocessor, steps)
        total, waited = _run(step, stream, preprocessor, steps)
        rows.append(
            dict(
                augment=augment,
                backgrounds=backgrounds,
                samples_per_second=steps * batch / total,
                waiting=waited / total,
                images=len(dataset),
            )
        )
        del stream
    return rows


def _one_thread(worker: int) -> None:
    worker_init_fn(worker, 1, 0, 0)
    torch.set_num_threads(1)


def _run(
    step: Step,
    stream: Iterator[Any],
    preprocessor: CP2DataPreprocessor,
    steps: int,
) -> tuple[float, float]:
    """Seconds of some steps, and those of them spent waiting for data."""
    begin, waited = time.perf_counter(), 0.0
    for _ in range(steps):
        asked = time.perf_counter()
        data = next(stream)
        waited += time.perf_counter() - asked
        batch: Batch = preprocessor(data, True)
        step(batch)
    return time.perf_counter() - begin, waited
