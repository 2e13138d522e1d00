"""What evens out classes of very different frequency."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def class_balanced_weights(
    counts: ArrayLike,
    beta: float = 0.999,
    clip: tuple[float, float] = (0.01, 5.0),
) -> NDArray[np.float64]:
    """Weights of classes by their effective number of instances.

    ``(1 - beta) / (1 - beta ** n)``, equation 4 of `Class-Balanced Loss
    <https://arxiv.org/abs/1901.05555>`_, divided by the mean over the classes,
    then clipped, as section 4.7 of `Simple Copy-Paste
    <https://arxiv.org/abs/2012.07177>`_ uses them.

    Args:
        counts: Instances of each class, shape (C,). A class without any
            weighs as much as one with a single instance.
        beta: In [0, 1); 0 weighs all classes the same. Defaults to 0.999.
        clip: Least and greatest weight. Defaults to (0.01, 5.0).

    Returns:
        Weights, shape (C,).

    Raises:
        ValueError: If there are no classes, if a count is negative or no
            number, if ``beta`` is not in [0, 1) or if ``clip`` is no range of
            positive numbers.
    """
    numbers = np.asarray(counts, np.float64)
    if numbers.ndim != 1 or not numbers.size:
        raise ValueError(
            f'counts must be one number a class, but have shape '
            f'{numbers.shape}'
        )
    if not (np.isfinite(numbers) & (numbers >= 0)).all():
        raise ValueError('counts must be finite and not negative')
    if not 0 <= beta < 1:
        raise ValueError(f'beta must lie in [0, 1), but is {beta}')
    if not 0 < clip[0] <= clip[1]:
        raise ValueError(
            f'clip must be (low, high) with 0 < low <= high, but is {clip}'
        )
    weights = (1 - beta) / (1 - beta ** np.maximum(numbers, 1))
    clipped: NDArray[np.float64] = np.clip(weights / weights.mean(), *clip)
    return clipped


def inverse_frequency_weights(
    counts: ArrayLike, power: float = 1.0
) -> NDArray[np.float64]:
    """Weights of classes that fall with their number of objects.

    ``n ** -power``. Objects drawn with these weights from a pool with ``n``
    objects of each class are of all classes alike with a power of 1, and of
    classes in proportion to the square root of ``n`` with 0.5.

    Args:
        counts: Objects of each class, shape (C,), >= 0.
        power: 0 weighs all classes the same. Defaults to 1.0.

    Returns:
        Weights in (0, 1], shape (C,). A class without objects weighs as much
        as one with a single object.

    Raises:
        ValueError: If a count is negative or no number, or if ``power`` is
            negative.
    """
    numbers = np.asarray(counts, np.float64)
    if not (np.isfinite(numbers) & (numbers >= 0)).all():
        raise ValueError('counts must be finite and not negative')
    if not power >= 0:
        raise ValueError(f'power must be >= 0, but is {power}')
    weights: NDArray[np.float64] = np.maximum(numbers, 1) ** -power
    return weights


def effective_classes(counts: ArrayLike) -> float:
    """How many classes objects are of, if all classes were as frequent.

    The exponential of the entropy of the classes: as many as there are if all
    have as many objects, 1 if all objects are of one class.

    Args:
        counts: Objects of each class, shape (C,), >= 0.

    Returns:
        A number in [1, C], or 0 without any object.
    """
    numbers = np.asarray(counts, np.float64)
    share = numbers[numbers > 0] / max(numbers.sum(), 1)
    return float(np.exp(-(share * np.log(share)).sum())) if share.size else 0.0


def repeat_factors(
    categories: Sequence[ArrayLike], threshold: float
) -> NDArray[np.float64]:
    """How often each image is shown in a pass, on average.

    ``r = max over the image's classes c of max(1, sqrt(threshold / f_c))``,
    where ``f_c`` is the share of images that contain ``c``: appendix B.2 of
    `LVIS <https://arxiv.org/abs/1908.03195>`_. An image without classes is
    shown once.

    Args:
        categories: For each image the class indices of its objects, >= 0, in
            any order and number; N images.
        threshold: Classes in a smaller share of images are repeated; the
            paper's t.

    Returns:
        Repeat factors >= 1, shape (N,).

    Raises:
        ValueError: If ``threshold`` is not in [0, 1].
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f'threshold must lie in [0, 1], but is {threshold}')
    factors = np.ones(len(categories))
    present = [np.unique(np.asarray(c, np.int64)) for c in categories]
    lengths = [len(one) for one in present]
    if not sum(lengths):
        return factors
    classes = np.concatenate(present)
    images = np.repeat(np.arange(len(present)), lengths)
    share = np.bincount(classes)[classes] / len(present)
    np.maximum.at(factors, images, np.sqrt(threshold / share))
    return factors


def round_stochastically(
    values: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Rounds up with the probability of the fractional part.

    Args:
        values: Numbers >= 0, shape (N,).
        rng: Draws N numbers.

    Returns:
        Whole numbers, shape (N,), whose expectation is ``values``.
    """
    rounded = np.floor(values).astype(np.int64)
    rounded += rng.random(len(values)) < values - rounded
    return rounded
