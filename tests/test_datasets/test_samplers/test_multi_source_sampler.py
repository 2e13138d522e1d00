import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmengine.registry import DATA_SAMPLERS

from mmcp.datasets.samplers import MultiSourceSampler


class Several:
    """Data sets of given sizes, one behind the other."""

    def __init__(self, *sizes):
        self.datasets = [range(size) for size in sizes]

    def __len__(self):
        return sum(map(len, self.datasets))


def with_rank(sizes, rank, world_size, ratio=None, shuffle=True):
    sampler = MultiSourceSampler(Several(*sizes), ratio, shuffle, seed=3)
    sampler.rank, sampler.world_size = rank, world_size
    return sampler


def take(sampler, count):
    return list(itertools.islice(iter(sampler), count))


def stream(sizes, world, count, ratio=None):
    """What all ranks together draw, in the order of positions."""
    ranks = [
        take(with_rank(sizes, r, world, ratio), count) for r in range(world)
    ]
    return [index for step in zip(*ranks, strict=True) for index in step]


def source_of(index, sizes):
    ends = list(itertools.accumulate(sizes))
    return next(n for n, end in enumerate(ends) if index < end)


def test_sources_take_turns_and_ranks_begin_with_different_ones():
    sampler = with_rank((3, 2), 0, 1, shuffle=False)
    assert take(sampler, 8) == [0, 3, 1, 4, 2, 3, 0, 4]
    first = take(with_rank((3, 2), 0, 2, shuffle=False), 4)
    second = take(with_rank((3, 2), 1, 2, shuffle=False), 4)
    assert first == [0, 4, 2, 4]
    assert second == [3, 1, 3, 0]
    ratio = with_rank((3, 2), 0, 1, (2, 1), shuffle=False)
    assert take(ratio, 6) == [0, 1, 3, 2, 0, 4]


RATIOS = st.lists(st.integers(1, 3), min_size=1, max_size=3)


@given(RATIOS, st.integers(1, 5), st.integers(0, 7), st.data())
def test_batches_hold_the_shares_of_the_ratio(ratio, world, start, data):
    sizes = [data.draw(st.integers(1, 9)) for _ in ratio]
    rank = data.draw(st.integers(0, world - 1))
    period = sum(ratio)
    sampler = with_rank(sizes, rank, world, ratio)
    drawn = take(sampler, start + 2 * period)
    batch = Counter(source_of(i, sizes) for i in drawn[start : start + period])

    assert [batch[source] for source in range(len(ratio))] == ratio


@given(RATIOS, st.integers(1, 3))
def test_one_image_per_rank_makes_whole_batches_too(ratio, rounds):
    sizes, world = [5] * len(ratio), rounds * sum(ratio)
    for step in range(4):
        drawn = [
            take(with_rank(sizes, r, world, ratio), 4) for r in range(world)
        ]
        batch = Counter(source_of(one[step], sizes) for one in drawn)
        assert [batch[n] for n in range(len(ratio))] == [
            rounds * share for share in ratio
        ]


@given(RATIOS, st.integers(1, 5), st.data())
def test_all_ranks_together_pass_through_each_source(ratio, world, data):
    sizes = [data.draw(st.integers(1, 7)) for _ in ratio]
    drawn = stream(sizes, world, 4 * sum(ratio), ratio)
    start = 0
    for source, size in enumerate(sizes):
        own = [i - start for i in drawn if source_of(i, sizes) == source]
        for first in range(0, len(own) - size + 1, size):
            assert sorted(own[first : first + size]) == list(range(size))
        start += size


def test_every_pass_is_another_permutation():
    drawn = stream((50, 40), 1, 200)
    first = [i for i in drawn if i < 50]
    second = [i - 50 for i in drawn if i >= 50]

    assert first[:50] != first[50:]
    assert second[:40] != second[40:80]
    assert first[:40] != second[:40]
    assert first[:50] != list(range(50))


@given(st.integers(1, 5), st.integers(0, 60), st.data())
def test_skip_equals_drawing_and_forgetting(world, skipped, data):
    rank = data.draw(st.integers(0, world - 1))
    whole = take(with_rank((7, 11), rank, world, (2, 1)), skipped + 10)
    sampler = with_rank((7, 11), rank, world, (2, 1))
    sampler.skip(skipped)
    resumed = take(sampler, 10)

    assert resumed == whole[skipped:]
    assert [i.position for i in resumed] == [
        i.position for i in whole[skipped:]
    ]


def test_positions_and_seeds_are_those_of_the_stream():
    drawn = stream((4, 5), 3, 6)
    assert [i.position for i in drawn] == list(range(18))
    assert {i.seed for i in drawn} == {3}


def test_registered_and_endless():
    sampler = DATA_SAMPLERS.build(
        dict(
            type='mmcp.MultiSourceSampler',
            source_ratio=[1, 1],
            dataset=Several(4, 5),
        )
    )
    assert sampler.endless
    assert len(sampler) == 9
    assert take(sampler, 5) == take(sampler, 5)


def test_errors():
    with pytest.raises(TypeError, match='SelfTrainingDataset, but got range'):
        MultiSourceSampler(range(4))
    with pytest.raises(ValueError, match='data set 1 of 2 has no samples'):
        MultiSourceSampler(Several(3, 0))
    for ratio in ([1], [1, 0], [1, 0.5], [1, 1, 1]):
        with pytest.raises(ValueError, match='2 whole numbers >= 1'):
            MultiSourceSampler(Several(3, 2), ratio)
    with pytest.raises(ValueError, match='seed must be >= 0, but is -1'):
        MultiSourceSampler(Several(3), seed=-1)
