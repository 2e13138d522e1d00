import itertools
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmdet.datasets.samplers import AspectRatioBatchSampler
from mmengine.registry import DATA_SAMPLERS

from mmcp.datasets.sample_index import SampleIndex
from mmcp.datasets.samplers import InfiniteSampler


def take(sampler, count):
    return list(itertools.islice(iter(sampler), count))


def with_rank(size, rank, world_size, **kwargs):
    sampler = InfiniteSampler(range(size), seed=3, **kwargs)
    sampler.rank, sampler.world_size = rank, world_size
    return sampler


def test_every_pass_is_another_permutation():
    indices = take(with_rank(50, 0, 1), 150)
    passes = [indices[i : i + 50] for i in (0, 50, 100)]
    assert all(sorted(one) == list(range(50)) for one in passes)
    assert passes[0] != passes[1] != passes[2]
    assert [index.position for index in indices] == list(range(150))
    assert {index.seed for index in indices} == {3}


def test_without_shuffling():
    sampler = with_rank(3, 0, 1, shuffle=False)
    assert take(sampler, 7) == [0, 1, 2, 0, 1, 2, 0]
    assert len(sampler) == 3


@given(st.integers(1, 20), st.integers(1, 5), st.integers(0, 60), st.data())
def test_skip_equals_drawing_and_forgetting(size, world, skipped, data):
    rank = data.draw(st.integers(0, world - 1))
    whole = take(with_rank(size, rank, world), skipped + 10)
    sampler = with_rank(size, rank, world)
    sampler.skip(skipped)
    resumed = take(sampler, 10)
    assert resumed == whole[skipped:]
    assert [i.position for i in resumed] == [
        i.position for i in whole[skipped:]
    ]


@given(st.integers(1, 20), st.integers(1, 5))
def test_ranks_share_one_stream(size, world):
    single = take(with_rank(size, 0, 1), world * 6)
    ranks = [take(with_rank(size, r, world), 6) for r in range(world)]
    merged = [index for step in zip(*ranks, strict=True) for index in step]
    assert merged == single
    assert [i.position for i in merged] == list(range(world * 6))


def test_errors():
    with pytest.raises(ValueError, match='no samples'):
        InfiniteSampler([])
    with pytest.raises(ValueError, match='num_samples'):
        InfiniteSampler([1]).skip(-1)
    with pytest.raises(ValueError, match='seed must be >= 0, but is -1'):
        InfiniteSampler([1], seed=-1)


def test_registered_and_agreed_upon_seed():
    sampler = DATA_SAMPLERS.build(
        dict(type='mmcp.InfiniteSampler', dataset=range(5))
    )
    assert isinstance(sampler.seed, int)
    assert take(sampler, 5) == take(sampler, 5)


def test_sample_index_is_an_int_that_survives_pickling():
    index = SampleIndex(4, 17, 9)
    again = pickle.loads(pickle.dumps(index))
    assert (again, again.position, again.seed) == (4, 17, 9)
    assert ['a', 'b', 'c', 'd', 'e'][index] == 'e'


class Shapes:
    """Images of which every other one is upright."""

    def __len__(self):
        return 6

    def get_data_info(self, index):
        return dict(width=2 - index % 2, height=1.5)


def test_batches_of_one_aspect_ratio():
    sampler = InfiniteSampler(Shapes(), shuffle=False)
    batches = take(AspectRatioBatchSampler(sampler, 2), 4)
    assert batches == [[0, 2], [1, 3], [4, 0], [5, 1]]
    positions = [[index.position for index in batch] for batch in batches]
    assert positions == [[0, 2], [1, 3], [4, 6], [5, 7]]
