"""An endless stream of samples that can start anywhere."""

from collections.abc import Iterator, Sized

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from mmcp.datasets.sample_index import SampleIndex
from mmcp.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class InfiniteSampler(Sampler[int]):
    """Goes through the data set again and again, in a new order each time.

    As mmengine's sampler of this name, but every index knows its position in
    the stream (:class:`mmcp.datasets.sample_index.SampleIndex`), and
    :meth:`skip` costs nothing: the order of a pass follows from the seed and
    the number of the pass. Ranks take positions in turn.

    ``RepeatDataset`` and ``ClassBalancedDataset`` replace the index by an
    ordinary one, so its position and seed do not reach a
    :class:`mmcp.CopyPasteDataset` inside them. Put them inside it, as its
    ``dataset``.

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
        number = -1
        while True:
            if position // self.size != number:
                number = position // self.size
                order = self._order(number)
            value = int(order[position % self.size])
            yield SampleIndex(value, position, self.seed)
            position += self.world_size

    def _order(self, number: int) -> np.ndarray:  # type: ignore[type-arg]
        if not self.shuffle:
            return np.arange(self.size)
        # A third word, so that no sample's own seed is the same.
        rng = np.random.default_rng((self.seed, number, 1))
        return rng.permutation(self.size)

    def __len__(self) -> int:
        """Length of the data set."""
        return self.size

    def set_epoch(self, epoch: int) -> None:
        """Does nothing: passes follow each other by themselves.

        Args:
            epoch: Not used.
        """
