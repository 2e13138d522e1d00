"""Randomness that belongs to a sample, not to a worker or a process."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


class SampleIndex(int):
    """An index into a data set that knows its place in the training stream.

    It is an ``int`` wherever one is needed; data sets that understand it seed
    themselves from ``seed`` and ``position``, so that a sample is the same
    whichever worker makes it and whether or not the run was resumed.

    Args:
        value: Index into the data set.
        position: Number of samples that all ranks together drew before.
        seed: Seed of the run.
    """

    position: int
    seed: int

    def __new__(cls, value: int, position: int, seed: int) -> 'SampleIndex':
        """Makes the index."""
        index = super().__new__(cls, value)
        index.position = position
        index.seed = seed
        return index

    def __getnewargs__(self) -> tuple[int, int, int]:  # type: ignore[override]
        """What a worker needs to make it again."""
        return int(self), self.position, self.seed


@contextmanager
def seeded(index: int) -> Iterator[None]:
    """Seeds all global generators from a sample's place, then restores them.

    Stock transforms draw from the global states of ``random``, numpy and
    torch, so these are what is seeded. An ordinary ``int`` changes nothing.

    Args:
        index: The index a sampler gave.

    Yields:
        Nothing.
    """
    if not isinstance(index, SampleIndex):
        yield
        return
    before = (
        random.getstate(),
        np.random.get_state(),  # noqa: NPY002
        torch.get_rng_state(),
    )
    sequence = np.random.SeedSequence((index.seed, index.position))
    words = sequence.generate_state(3).tolist()
    random.seed(words[0])
    np.random.seed(words[1])  # noqa: NPY002
    torch.default_generator.manual_seed(words[2])
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        torch.set_rng_state(before[2])
