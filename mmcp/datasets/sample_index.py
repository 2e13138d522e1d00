"""Randomness that belongs to a sample, not to a worker or a process."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
import torch

# Seed and position of the sample that is being made.
_current: ContextVar[tuple[int, int] | None] = ContextVar(
    'current', default=None
)


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


def at(index: int, place: int) -> int:
    """Another place in a data set, at the same place in the stream.

    Args:
        index: The index a sampler gave.
        place: Index into a data set.

    Returns:
        ``place``, with position and seed of ``index`` if it has them.
    """
    if isinstance(index, SampleIndex):
        return SampleIndex(place, index.position, index.seed)
    return place


@contextmanager
def seeded(index: int) -> Iterator[None]:
    """Seeds all global generators from a sample's place, then restores them.

    Stock transforms draw from the global states of ``random``, numpy and
    torch, so these are what is seeded. An ordinary ``int`` changes nothing,
    nor does an index of the sample that is being made already: a data set
    inside another draws on, or both would draw the same numbers.

    Args:
        index: The index a sampler gave.

    Yields:
        Nothing.
    """
    key = None
    if isinstance(index, SampleIndex):
        key = (index.seed, index.position)
    if key is None or key == _current.get():
        yield
        return
    before = (
        random.getstate(),
        np.random.get_state(),  # noqa: NPY002
        torch.get_rng_state(),
    )
    sequence = np.random.SeedSequence(key)
    words = sequence.generate_state(3).tolist()
    random.seed(words[0])
    np.random.seed(words[1])  # noqa: NPY002
    torch.default_generator.manual_seed(words[2])
    token = _current.set(key)
    try:
        yield
    finally:
        _current.reset(token)
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        torch.set_rng_state(before[2])
