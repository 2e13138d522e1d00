"""More samples of images with rare classes."""

from collections.abc import Sized

import numpy as np
from numpy.typing import NDArray

from mmcp.datasets.image_categories import categories_of
from mmcp.datasets.samplers.endless_sampler import EndlessSampler
from mmcp.functional.long_tail import repeat_factors, round_stochastically
from mmcp.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class RepeatFactorSampler(EndlessSampler):
    """Repeats images of rare classes in every pass through the data set.

    Repeat factor sampling of `LVIS <https://arxiv.org/abs/1908.03195>`_,
    appendix B.2: a class ``c`` that a share ``f_c`` of the images contains
    has the factor ``max(1, sqrt(threshold / f_c))``, and an image the largest
    of its classes. A factor of 1.05 shows the image once, and twice in five
    of a hundred passes, drawn anew for each; mmengine's
    ``ClassBalancedDataset`` shows it twice in all of them.

    Otherwise it is :class:`mmcp.InfiniteSampler`: indices know their position
    in the stream, and ranks take them in turn. Passes have different lengths,
    so :meth:`skip` goes through those before, a millisecond for each with a
    hundred thousand images; nothing is loaded.

    The classes are asked of ``get_cat_ids`` once, through wrappers too:
    ``mmcp.CopyPasteDataset`` (its destination), ``ConcatDataset``,
    ``RepeatDataset``, ``MultiImageMixDataset`` and ``Subset``. Put
    ``RepeatDataset`` inside a Copy-Paste data set, not around it.

    Args:
        dataset: The data set, N samples.
        threshold: The paper's t, in [0, 1]. Defaults to 0.001.
        shuffle: Whether the order is random; without, repeated images stand
            side by side. Defaults to True.
        seed: Seed of the order, of the rounding and of the samples. Defaults
            to None, meaning one that all ranks agree on.

    Attributes:
        factors: Repeat factors, shape (N,).

    Raises:
        ValueError: If the data set is empty, the seed negative or the
            threshold not in [0, 1].
        TypeError: If the data set does not tell the classes of its images.
    """

    def __init__(
        self,
        dataset: Sized,
        threshold: float = 0.001,
        shuffle: bool = True,
        seed: int | None = None,
    ) -> None:
        super().__init__(dataset, shuffle, seed)
        self.factors = repeat_factors(categories_of(dataset), threshold)

    def _pass_at(self, position: int) -> tuple[int, int]:
        number = start = 0
        while True:
            length = int(self._repeats(self._rng(number)).sum())
            if start + length > position:
                return number, start
            number, start = number + 1, start + length

    def _repeats(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """How often each image is shown in a pass, shape (N,)."""
        return round_stochastically(self.factors, rng)

    def _order(self, number: int) -> NDArray[np.int64]:
        rng = self._rng(number)
        order = np.repeat(np.arange(self.size), self._repeats(rng))
        if self.shuffle:
            rng.shuffle(order)
        return order
