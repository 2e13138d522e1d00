import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmengine.registry import DATA_SAMPLERS

from mmcp.datasets.samplers import RepeatFactorSampler


class Labelled:
    """Knows the classes of its images, and nothing else."""

    def __init__(self, labels):
        self.labels = labels

    def __len__(self):
        return len(self.labels)

    def get_cat_ids(self, index):
        return self.labels[index]


# Class 1 is in one of ten images: its factor is sqrt(0.625 / 0.1) = 2.5.
LONG_TAIL = Labelled([[0]] * 8 + [[0, 1, 1], []])


def make(rank=0, world_size=1, **kwargs):
    arguments = dict(threshold=0.625, seed=3) | kwargs
    sampler = RepeatFactorSampler(LONG_TAIL, **arguments)
    sampler.rank, sampler.world_size = rank, world_size
    return sampler


def take(sampler, count):
    return list(itertools.islice(iter(sampler), count))


def passes(sampler, count):
    """Splits the unshuffled stream where indices start again."""
    found = [[]]
    for index in sampler:
        if found[-1] and index < found[-1][-1]:
            found.append([])
        if len(found) > count:
            return found[:count]
        found[-1].append(index)


def test_factors():
    np.testing.assert_allclose(make().factors, [1] * 8 + [2.5, 1])
    # The paper's threshold repeats nothing that is in a tenth of the images.
    factors = RepeatFactorSampler(LONG_TAIL, seed=0).factors
    np.testing.assert_array_equal(factors, np.ones(10))


def test_every_pass_is_rounded_anew():
    found = passes(make(shuffle=False), 400)
    for one in found:
        times = one.count(8)
        assert times in (2, 3)
        assert one == [*range(8), *[8] * times, 9]
    mean = sum(one.count(8) for one in found) / 400
    assert mean == pytest.approx(2.5, abs=0.08)


def test_shuffled_passes_hold_the_same_images():
    ordered = passes(make(shuffle=False), 20)
    stream = iter(make())
    shuffled = [[next(stream) for _ in one] for one in ordered]
    assert [sorted(one) for one in shuffled] == ordered
    assert shuffled != ordered
    assert shuffled[0] != shuffled[1]


@given(st.integers(1, 5), st.integers(0, 100), st.booleans(), st.data())
def test_skip_equals_drawing_and_forgetting(world, skipped, shuffle, data):
    rank = data.draw(st.integers(0, world - 1))
    whole = take(make(rank, world, shuffle=shuffle), skipped + 10)
    sampler = make(rank, world, shuffle=shuffle)
    sampler.skip(skipped)
    resumed = take(sampler, 10)
    assert resumed == whole[skipped:]
    assert [i.position for i in resumed] == [
        i.position for i in whole[skipped:]
    ]


@given(st.integers(1, 30))
def test_ranks_share_one_stream(world):
    single = take(make(), world * 6)
    ranks = [take(make(r, world), 6) for r in range(world)]
    merged = [index for step in zip(*ranks, strict=True) for index in step]
    assert merged == single
    assert [i.position for i in merged] == list(range(world * 6))
    assert {i.seed for i in merged} == {3}


def test_another_seed_is_another_stream():
    assert take(make(seed=3), 30) != take(make(seed=4), 30)


def test_registered():
    sampler = DATA_SAMPLERS.build(
        dict(type='mmcp.RepeatFactorSampler', dataset=LONG_TAIL)
    )
    assert sampler.endless
    assert len(sampler) == 10
    assert take(sampler, 12) == take(sampler, 12)


def test_errors():
    with pytest.raises(ValueError, match='no samples'):
        RepeatFactorSampler(Labelled([]))
    with pytest.raises(ValueError, match='threshold must lie'):
        RepeatFactorSampler(LONG_TAIL, threshold=math.inf)
    with pytest.raises(TypeError, match='range has no get_cat_ids'):
        RepeatFactorSampler(range(3))
    with pytest.raises(ValueError, match='num_samples'):
        make().skip(-1)
