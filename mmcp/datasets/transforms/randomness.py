"""Where the transforms' random numbers come from."""

from typing import Any

import numpy as np

__all__ = ['SAMPLE_RNG_KEY', 'rng_of', 'worker_rng']

SAMPLE_RNG_KEY = 'sample_rng'


def rng_of(results: dict[str, Any]) -> np.random.Generator:
    """The generator that belongs to a sample.

    A caller may put one into the results. Otherwise the draws follow numpy's
    global state, which ``CopyPasteDataset`` seeds from the sample's place in
    the stream if the sampler is :class:`mmcp.InfiniteSampler`, and mmengine
    seeds in each worker.

    Args:
        results: Results of one image.

    Returns:
        The generator in ``results['sample_rng']``, else that of
        :func:`worker_rng`.
    """
    rng = results.get(SAMPLE_RNG_KEY)
    return worker_rng() if rng is None else rng


def worker_rng() -> np.random.Generator:
    """A generator that draws from numpy's global state, which mmengine seeds.

    Returns:
        A generator around the state itself: its draws move it on.
    """
    state = np.random.get_bit_generator()  # type: ignore[attr-defined]
    return np.random.Generator(state)
