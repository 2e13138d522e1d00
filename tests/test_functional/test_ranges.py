"""Checks of numbers and ranges."""

import pytest

from mmcp.functional.ranges import check_positive, check_range


def test_positive_numbers():
    check_positive(a=1, b=1e-9)
    for value in (0, -1.5):
        message = rf'^b must be > 0, but is {value}$'
        with pytest.raises(ValueError, match=message):
            check_positive(a=1, b=value)


def test_ranges():
    check_range('scale', (0.1, 0.1))
    check_range('scale', (0.1, 1.0), limit=1.0)
    for low, high in ((0, 1), (2, 1)):
        with pytest.raises(ValueError, match='0 < low <= high, but is'):
            check_range('scale', (low, high))
    with pytest.raises(ValueError, match='0 < low <= high <= 1, but is'):
        check_range('scale', (0.1, 1.5), limit=1)
