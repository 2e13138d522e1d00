"""Checks of numbers, and of ranges that random ones are drawn from."""

import math

__all__ = ['check_positive', 'check_range']


def check_positive(**numbers: float) -> None:
    """Makes sure that numbers are above 0.

    Args:
        **numbers: The numbers, by what the error calls them.

    Raises:
        ValueError: If one is not above 0.
    """
    for name, value in numbers.items():
        if value <= 0:
            raise ValueError(f'{name} must be > 0, but is {value}')


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
