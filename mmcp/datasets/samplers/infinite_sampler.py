"""An endless stream of samples that can start anywhere."""

import numpy as np
from numpy.typing import NDArray

from mmcp.datasets.samplers.endless_sampler import EndlessSampler
from mmcp.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class InfiniteSampler(EndlessSampler):
    """Goes through the data set again and again, in a new order each time.

    As mmengine's sampler of this name, but every index knows its position in
    the stream (:class:`mmcp.datasets.sample_index.SampleIndex`), and
    :meth:`skip` costs nothing: the order of a pass follows from the seed and
    the number of the pass. Ranks take positions in turn.

    ``RepeatDataset``, ``ClassBalancedDataset`` and ``ConcatDataset`` replace
    the index by an ordinary one, so its position and seed do not reach a
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

    def _pass_at(self, position: int) -> tuple[int, int]:
        number = position // self.size
        return number, number * self.size

    def _order(self, number: int) -> NDArray[np.int64]:
        if not self.shuffle:
            return np.arange(self.size)
        return self._rng(number).permutation(self.size)
