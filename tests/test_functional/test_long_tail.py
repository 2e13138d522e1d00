import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmcp.functional.long_tail import (
    class_balanced_weights,
    effective_classes,
    inverse_frequency_weights,
    repeat_factors,
    round_stochastically,
)

COUNTS = st.lists(st.integers(0, 10**6), min_size=1, max_size=20)


def plain_weights(counts, beta, low, high):
    raw = []
    for n in counts:
        effective = sum(beta**k for k in range(min(max(n, 1), 60000)))
        raw.append(1 / effective)
    mean = math.fsum(raw) / len(raw)
    return [min(max(one / mean, low), high) for one in raw]


@given(COUNTS, st.sampled_from([0.0, 0.5, 0.99, 0.999]))
def test_weights_are_inverse_effective_numbers(counts, beta):
    weights = class_balanced_weights(counts, beta)
    expected = plain_weights(counts, beta, 0.01, 5)
    np.testing.assert_allclose(weights, expected, rtol=1e-9)


def test_weights_by_hand():
    # 1 / (1 + .5) = .667 and 1 / 1; their mean is .8333.
    weights = class_balanced_weights([2, 1], 0.5)
    np.testing.assert_allclose(weights, [0.8, 1.2])


def test_few_instances_weigh_five_at_most_and_many_a_hundredth_at_least():
    weights = class_balanced_weights([1] + [10**6] * 200)
    assert weights[0] == 5
    np.testing.assert_allclose(weights[1], 0.001 / (1.2 / 201))
    weights = class_balanced_weights([1, 10**6], clip=(0.5, 1.5))
    np.testing.assert_array_equal(weights, [1.5, 0.5])


def test_no_instance_weighs_as_much_as_one():
    weights = class_balanced_weights([0, 1, 50])
    assert weights[0] == weights[1] > weights[2]


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (([],), 'one number a class'),
        (([[1, 2]],), r'have shape \(1, 2\)'),
        (([1, -1],), 'not negative'),
        (([1, math.nan],), 'finite'),
        (([1], 1.0), r'\[0, 1\), but is 1.0'),
        (([1], 0.9, (0.0, 1.0)), '0 < low <= high'),
        (([1], 0.9, (2.0, 1.0)), '0 < low <= high'),
    ],
)
def test_wrong_weights(arguments, message):
    with pytest.raises(ValueError, match=message):
        class_balanced_weights(*arguments)


def plain_factors(categories, threshold):
    factors = []
    for of_image in categories:
        factor = 1.0
        for c in of_image:
            share = sum(c in other for other in categories) / len(categories)
            factor = max(factor, math.sqrt(threshold / share))
        factors.append(factor)
    return factors


@given(
    st.lists(st.lists(st.integers(0, 5), max_size=6), max_size=15),
    st.floats(0, 1),
)
def test_repeat_factors_are_those_of_the_paper(categories, threshold):
    factors = repeat_factors(categories, threshold)
    expected = plain_factors(categories, threshold)
    np.testing.assert_allclose(factors, expected)


def test_repeat_factors_by_hand():
    # Class 0 is in every image but one, class 1 in one of five.
    categories = [[0, 0], [0], [0, 1, 1], [0], []]
    np.testing.assert_allclose(
        repeat_factors(categories, 0.9),
        [math.sqrt(0.9 / 0.8)] * 2
        + [math.sqrt(0.9 / 0.2), math.sqrt(0.9 / 0.8), 1.0],
    )


def test_threshold_out_of_range():
    with pytest.raises(ValueError, match=r'threshold must lie in \[0, 1\]'):
        repeat_factors([[0]], 1.5)


@given(st.lists(st.floats(0, 50), max_size=20), st.integers(0, 9))
def test_rounding_gives_a_neighbour(values, seed):
    values = np.array(values)
    rounded = round_stochastically(values, np.random.default_rng(seed))
    assert rounded.dtype == np.int64
    assert (abs(rounded - values) < 1).all()


def test_rounding_is_right_on_average():
    values = np.repeat([1.0, 1.25, 2.9], 20000)
    rounded = round_stochastically(values, np.random.default_rng(0))
    means = rounded.reshape(3, -1).mean(1)
    assert means[0] == 1
    np.testing.assert_allclose(means, [1.0, 1.25, 2.9], atol=0.015)


@pytest.mark.parametrize(
    ('power', 'expected'),
    [
        (1.0, [1, 1, 0.25, 0.01]),
        (0.5, [1, 1, 0.5, 0.1]),
        (0.0, [1, 1, 1, 1]),
    ],
)
def test_inverse_frequency(power, expected):
    weights = inverse_frequency_weights([0, 1, 4, 100], power)
    np.testing.assert_allclose(weights, expected)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (([1, -1],), 'not negative'),
        (([1, math.nan],), 'finite'),
        (([1], -0.5), 'power must be >= 0, but is -0.5'),
    ],
)
def test_wrong_frequencies(arguments, message):
    with pytest.raises(ValueError, match=message):
        inverse_frequency_weights(*arguments)


def test_inverse_frequency_makes_classes_alike():
    counts = np.array([1000, 50, 3, 1])
    drawn = counts * inverse_frequency_weights(counts)
    assert effective_classes(drawn) == pytest.approx(4)
    roots = counts * inverse_frequency_weights(counts, 0.5)
    np.testing.assert_allclose(roots, np.sqrt(counts))


@pytest.mark.parametrize(
    ('counts', 'expected'),
    [
        ([5, 5, 5], 3),
        ([0, 7, 0], 1),
        ([2, 2, 0, 0], 2),
        ([0, 0], 0),
        ([], 0),
        ([3, 1], 4 / 3**0.75),
    ],
)
def test_effective_classes(counts, expected):
    assert effective_classes(counts) == pytest.approx(expected)
