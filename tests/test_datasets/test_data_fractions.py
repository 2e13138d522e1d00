"""Tests of nested fractions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from mmcp.datasets.data_fractions import fraction_size, nested_order


@given(
    ids=st.lists(st.integers(0, 10**9), unique=True, max_size=50),
    seed=st.integers(0, 10**6),
)
def test_an_order_is_a_permutation_that_only_ids_and_seed_decide(ids, seed):
    order = nested_order(ids, seed)

    assert sorted(order) == sorted(ids)
    assert nested_order(reversed(ids), seed) == order
    # What is left out does not move the others.
    assert nested_order(ids[1:], seed) == [i for i in order if i != ids[0]]


def test_it_is_the_same_for_ever():
    # A new value here changes every fraction that anyone has made.
    assert nested_order(range(10), 0) == [4, 0, 6, 9, 7, 2, 1, 5, 8, 3]
    assert nested_order(['a', 'b', 'c'], 7) == ['c', 'b', 'a']


def test_every_image_is_as_likely_under_all_seeds():
    first = [nested_order(range(8), seed)[0] for seed in range(800)]
    assert chisquare(np.bincount(first, minlength=8)).pvalue > 0.01


@pytest.mark.parametrize(
    ('percent', 'total', 'size'),
    [
        (1, 118_287, 1183),
        (50, 118_287, 59_144),
        (100, 118_287, 118_287),
        (0.1, 10, 1),
        (75, 4, 3),
    ],
)
def test_sizes(percent, total, size):
    assert fraction_size(percent, total) == size


@pytest.mark.parametrize('percent', [0, -1, 100.1, float('nan')])
def test_no_fraction(percent):
    with pytest.raises(ValueError, match='above 0 and 100 % at most'):
        fraction_size(percent, 10)
