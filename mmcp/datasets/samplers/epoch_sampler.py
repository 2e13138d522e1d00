"""Whole passes through a data set, by samples that know their place."""

from collections.abc import Iterator, Sized

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from torch.utils.data import Sampler

from mmcp.datasets.sample_index import SampleIndex
from mmcp.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class EpochSampler(Sampler[int]):
    """Goes through the data set once an epoch, in a new order each time.

    For training by epochs what :class:`mmcp.InfiniteSampler` is for training
    by iterations: every index knows its position in the stream
    (:class:`mmcp.datasets.sample_index.SampleIndex`), which is the number of
    the epoch times the size of the data set plus the place in the epoch.
    Ranks take positions in turn. With :class:`mmcp.MidEpochResumeHook` a
    resumed run goes on with the very samples that come next.

    Samples that would not fill a batch on every rank are left out, others in
    each epoch, since all ranks must make as many steps. The loader's
    ``drop_last=True`` does the same for batches.

    Args:
        dataset: The data set, N samples.
        shuffle: Whether the order is random. Defaults to True.
        seed: Seed of the order and of the samples. Defaults to None, meaning
            one that all ranks agree on.
        batch_size: Samples in a batch of one rank. Defaults to 1, meaning
            that only what the ranks cannot share equally is left out.

    Raises:
        ValueError: If the data set is too small for one batch on every rank,
            or if the seed is negative.
    """

    def __init__(
        self,
        dataset: Sized,
        shuffle: bool = True,
        seed: int | None = None,
        batch_size: int = 1,
    ) -> None:
        if seed is not None and seed < 0:
            raise ValueError(f'seed must be >= 0, but is {seed}')
        if batch_size < 1:
            raise ValueError(f'batch_size must be >= 1, but is {batch_size}')
        # Batch samplers, such as AspectRatioBatchSampler, look at it.
        self.dataset = dataset
        self.size = len(dataset)
        self.shuffle = shuffle
        self.seed = int(sync_random_seed() if seed is None else seed)
        self.rank, self.world_size = get_dist_info()
        step = self.world_size * batch_size
        self.used = self.size // step * step
        if not self.used:
            raise ValueError(
                f'the data set has {self.size} samples, but a batch of '
                f'{batch_size} on each of {self.world_size} ranks needs '
                f'{step}'
            )
        self.epoch = 0

    def __iter__(self) -> Iterator[int]:
        """Yields this rank's indices of the epoch."""
        order = self._order()
        start = self.epoch * self.size
        for place in range(self.rank, self.used, self.world_size):
            yield SampleIndex(int(order[place]), start + place, self.seed)

    def _order(self) -> np.ndarray:  # type: ignore[type-arg]
        if not self.shuffle:
            return np.arange(self.size)
        # A third word, so that no sample's own seed is the same.
        rng = np.random.default_rng((self.seed, self.epoch, 1))
        return rng.permutation(self.size)

    def __len__(self) -> int:
        """Samples of this rank in an epoch."""
        return int(self.used // self.world_size)

    def set_epoch(self, epoch: int) -> None:
        """Says which epoch comes next.

        Args:
            epoch: Its number, from 0.
        """
        self.epoch = epoch
