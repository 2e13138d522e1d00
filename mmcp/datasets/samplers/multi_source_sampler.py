"""An endless stream with fixed shares of several data sets."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmcp.datasets.sample_index import SampleIndex
from mmcp.datasets.samplers.infinite_sampler import InfiniteSampler
from mmcp.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class MultiSourceSampler(InfiniteSampler):
    """Draws from several data sets in fixed shares, endlessly.

    What mmdet's sampler of this name is for, with what
    :class:`mmcp.InfiniteSampler` adds: indices know their position, ranks
    never draw the same sample, and :meth:`skip` costs nothing. Every data set
    is gone through in passes of its own, so a small one is repeated more
    often than a large one.

    A rank takes from the data sets in turn, each rank beginning elsewhere.
    With ``source_ratio=(1, 1)`` every batch of even size is half and half,
    and so are batches of one image on an even number of ranks; an odd batch
    holds one more of the one or the other by turns. In general that is so
    for multiples of the ratio's sum.

    Args:
        dataset: A data set of several: its ``datasets`` stand behind each
            other, as in :class:`mmcp.SelfTrainingDataset` and mmengine's
            ``ConcatDataset``.
        source_ratio: Samples of each data set in a round. Defaults to None,
            meaning one of each.
        shuffle: Whether the order is random. Defaults to True.
        seed: Seed of the order and of the samples. Defaults to None, meaning
            one that all ranks agree on.

    Raises:
        TypeError: If the data set has no ``datasets``.
        ValueError: If one of them is empty, if the ratio has not one whole
            number >= 1 for each, or if the seed is negative.
    """

    def __init__(
        self,
        dataset: Any,
        source_ratio: Sequence[int] | None = None,
        shuffle: bool = True,
        seed: int | None = None,
    ) -> None:
        parts = getattr(dataset, 'datasets', None)
        if parts is None:
            raise TypeError(
                'MultiSourceSampler needs a data set of several, such as '
                f'mmcp.SelfTrainingDataset, but got {type(dataset).__name__}'
            )
        super().__init__(dataset, shuffle, seed)
        self.sizes = [len(part) for part in parts]
        if 0 in self.sizes:
            raise ValueError(
                f'data set {self.sizes.index(0)} of {len(self.sizes)} has no '
                'samples; look at its paths and filter_cfg'
            )
        ratio = [1] * len(parts) if source_ratio is None else source_ratio
        self.source_ratio = _checked(ratio, len(parts))

    def __iter__(self) -> Iterator[int]:
        """Yields indices of this rank for ever."""
        passes = [
            _Passes(size, (self.seed, number + 2), self.shuffle)
            for number, size in enumerate(self.sizes)
        ]
        starts = np.cumsum([0, *self.sizes[:-1]]).tolist()
        sources, places = _round_table(self.source_ratio, self.world_size)
        drawn = self._skipped
        while True:
            rounds, turn = divmod(drawn, len(sources))
            source = int(sources[turn, self.rank])
            place = int(places[turn, self.rank])
            place += rounds * self.world_size * self.source_ratio[source]
            yield SampleIndex(
                starts[source] + passes[source][place],
                drawn * self.world_size + self.rank,
                self.seed,
            )
            drawn += 1


class _Passes:
    """Goes through one data set again and again, in a new order each time.

    Args:
        size: Number of samples.
        seed: Two words; with the number of the pass they make three, so that
            no sample's own seed is the same.
        shuffle: Whether the order is random.
    """

    def __init__(
        self, size: int, seed: tuple[int, int], shuffle: bool
    ) -> None:
        self.size = size
        self.seed = seed
        self.shuffle = shuffle
        self._number = -1
        self._order: NDArray[np.int64] = np.arange(size)

    def __getitem__(self, place: int) -> int:
        """The sample at a place of the stream."""
        number, within = divmod(place, self.size)
        if self.shuffle and number != self._number:
            rng = np.random.default_rng((*self.seed, number))
            self._order = rng.permutation(self.size)
            self._number = number
        return int(self._order[within])


def _checked(ratio: Sequence[int], count: int) -> list[int]:
    whole = all(isinstance(share, int) and share >= 1 for share in ratio)
    if len(ratio) != count or not whole:
        raise ValueError(
            f'source_ratio must be {count} whole numbers >= 1, one for each '
            f'data set, but is {list(ratio)}'
        )
    return list(ratio)


def _round_table(
    ratio: Sequence[int], ranks: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What the ranks draw until each had every turn of the ratio once.

    Args:
        ratio: Samples of each source in a round of R turns.
        ranks: Number of ranks, P.

    Returns:
        - Source of each draw, shape (R, P).
        - How many draws of that source come before, shape (R, P).
    """
    turns = np.repeat(np.arange(len(ratio)), ratio)
    period = len(turns)
    offsets = np.arange(period)[:, None] + np.arange(ranks)
    sources = turns[offsets % period]
    places = np.zeros_like(sources)
    for source in range(len(ratio)):
        drawn = sources == source
        places[drawn] = np.arange(drawn.sum())
    return sources, places
