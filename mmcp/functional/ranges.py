"""Checks of the ranges that random numbers are drawn from."""

import math

__all__ = ['check_range']


def check_range(
    name: str, value: tuple[float, float], limit: float = math.inf
) -> None:
    """Makes sure that a range of positive numbers is one.

    Args:
        name: What the error calls it.
        value: The range, (low, high).
        limit: The greatest number allowed. Defaults to math.inf.

    Raises:
        ValueError: Unless 0 < low <= high <= limit.
    """
    low, high = value
    if not 0 < low <= high <= limit:
        rule = '0 < low <= high' + (f' <= {limit}' if limit < math.inf else '')
        raise ValueError(
            f'{name} must be (low, high) with {rule}, but is ({low}, {high})'
        )
