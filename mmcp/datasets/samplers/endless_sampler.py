"""What endless streams of samples have in common."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sized

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from numpy.typing import NDArray
from torch.utils.data import Sampler

from mmcp.datasets.sample_index import SampleIndex


class EndlessSampler(Sampler[int], ABC):
    """Passes through a data set that follow each other without end.

    Every index knows its position in the stream
    (:class:`mmcp.datasets.sample_index.SampleIndex`). Ranks take positions in
    turn. A pass follows from the seed and its number alone, so that the
    stream can start anywhere.

    Args:
        dataset: The data set, N samples.
        shuffle: Whether the order is random. Defaults to True.
        seed: Seed of the order and of the samples. Defaults to None, meaning
            one that all ranks agree on.

    Raises:
        ValueError: If the data set is empty or the seed negative.
    """

    endless = True
    """That :meth:`__iter__` never ends, whatever the length says."""

    def __init__(
        self, dataset: Sized, shuffle: bool = True, seed: int | None = None
    ) -> None:
        if not len(dataset):
            raise ValueError(
                'the data set has no samples; look at its paths and filter_cfg'
            )
        if seed is not None and seed < 0:
            raise ValueError(f'seed must be >= 0, but is {seed}')
        # Batch samplers, such as AspectRatioBatchSampler, look at it.
        self.dataset = dataset
        self.size = len(dataset)
        self.shuffle = shuffle
        self.seed = int(sync_random_seed() if seed is None else seed)
        self.rank, self.world_size = get_dist_info()
        self._skipped = 0

    def skip(self, num_samples: int) -> None:
        """Starts later, as a resumed run must.

        Args:
            num_samples: Samples of this rank already used, counted from the
                start of the training.

        Raises:
            ValueError: If it is negative.
        """
        if num_samples < 0:
            raise ValueError(f'num_samples must be >= 0, is {num_samples}')
        self._skipped = num_samples

    def __iter__(self) -> Iterator[int]:
        """Yields indices of this rank for ever."""
        position = self.rank + self._skipped * self.world_size
        number, start = self._pass_at(position)
        order = self._order(number)
        while True:
            while position - start >= len(order):
                start += len(order)
                number += 1
                order = self._order(number)
            value = int(order[position - start])
            yield SampleIndex(value, position, self.seed)
            position += self.world_size

    @abstractmethod
    def _pass_at(self, position: int) -> tuple[int, int]:
        """Number and first position of a pass that may hold a position.

        An earlier pass will do too.
        """

    @abstractmethod
    def _order(self, number: int) -> NDArray[np.int64]:
        """Indices of a pass, at least one, the same on all ranks."""

    def _rng(self, number: int) -> np.random.Generator:
        # A third word, so that no sample's own seed is the same.
        return np.random.default_rng((self.seed, number, 1))

    def __len__(self) -> int:
        """Length of the data set."""
        return self.size

    def set_epoch(self, epoch: int) -> None:
        """Does nothing: passes follow each other by themselves.

        Args:
            epoch: Not used.
        """
