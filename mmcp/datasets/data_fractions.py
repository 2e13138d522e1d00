"""Nested fractions of a data set, the same on every machine."""

import hashlib
from collections.abc import Iterable

__all__ = ['fraction_size', 'nested_order']


def nested_order(ids: Iterable[int | str], seed: int) -> list[int | str]:
    """Shuffles ids so that each fraction holds all smaller ones.

    A fraction is the start of this order. It depends on the ids and the seed
    only: not on the order in which the ids come, nor on the version of a
    random number generator.

    Args:
        ids: Ids of the images, all different.
        seed: Any number; another one gives another order.

    Returns:
        The ids in their new order.

    Examples:
        >>> nested_order([1, 2, 3, 4, 5], seed=0)
        [4, 2, 1, 5, 3]
        >>> nested_order([5, 4, 3, 2, 1], seed=0)
        [4, 2, 1, 5, 3]
    """

    def place(one: int | str) -> bytes:
        return hashlib.sha256(f'{seed}/{one}'.encode()).digest()

    return sorted(ids, key=place)


def fraction_size(percent: float, total: int) -> int:
    """Number of images in a fraction, at least one.

    Args:
        percent: Above 0, and 100 at most.
        total: Number of images in all, at least one.

    Returns:
        The number, rounded.

    Raises:
        ValueError: If the fraction is none.

    Examples:
        >>> fraction_size(10, 118287)
        11829
    """
    if not 0 < percent <= 100:
        raise ValueError(
            f'a fraction must be above 0 and 100 % at most, but is {percent:g}'
        )
    return max(round(total * percent / 100), 1)
