"""Tests of what pasting transforms have in common."""

import pytest

from mmcp.datasets.transforms.mixing import (
    check_choice,
    parse_count,
    source_of,
)


def test_named_counts():
    (none, most), one, everything = map(parse_count, ('random', 'one', 'all'))
    assert none == 0
    assert one == (1, 1)
    assert everything == (most, most)
    # More than any image holds.
    assert most > 10**8


def test_given_counts():
    assert parse_count(3) == (3, 3)
    assert parse_count((1, 4)) == parse_count([1, 4]) == (1, 4)
    assert parse_count((2, None)) == (2, parse_count('all')[1])


@pytest.mark.parametrize(
    'wrong', ['many', 'ab', -1, (2, 1), (0.5, 1), (1, 2, 3), (None, 2)]
)
def test_other_counts_are_refused(wrong):
    with pytest.raises(ValueError, match="num_pasted must be 'random', 'one'"):
        parse_count(wrong)


def test_choices():
    check_choice('mode', 'b', ('a', 'b'))
    with pytest.raises(ValueError, match="mode must be one of .*, but is 'c'"):
        check_choice('mode', 'c', ('a', 'b'))


def test_the_source_is_copied_but_its_values_are_not():
    image = object()
    source = dict(img=image)
    found = source_of(dict(mix_results=[None, source]), 'Paste')
    assert found == source
    assert found is not source
    assert found['img'] is image


@pytest.mark.parametrize(
    ('mixed', 'found'),
    [(None, 'none'), ([], 'none'), ([None], 'none'), ([{}, {}], '2')],
)
def test_none_and_several_sources_are_refused(mixed, found):
    message = (
        f"Paste needs one source image in 'mix_results', but found {found};"
    )
    with pytest.raises(ValueError, match=message):
        source_of(dict(mix_results=mixed), 'Paste')
