import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.registry import DATA_SAMPLERS
from torch.utils.data import BatchSampler, DataLoader

from mmcp.datasets.sample_index import SampleIndex
from mmcp.datasets.samplers import EpochSampler
from mmcp.engine.hooks.mid_epoch_resume_hook import without_first_batches


def of_rank(size, rank=0, world_size=1, **kwargs):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            'mmcp.datasets.samplers.epoch_sampler.get_dist_info',
            lambda: (rank, world_size),
        )
        return EpochSampler(range(size), **{'seed': 3, **kwargs})


def epoch_of(sampler, number):
    sampler.set_epoch(number)
    return list(sampler)


def test_every_epoch_is_another_permutation():
    sampler = of_rank(50)
    epochs = [epoch_of(sampler, number) for number in range(3)]
    assert all(sorted(one) == list(range(50)) for one in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    positions = [index.position for one in epochs for index in one]
    assert positions == list(range(150))
    assert {index.seed for one in epochs for index in one} == {3}
    assert all(isinstance(index, SampleIndex) for index in epochs[0])
    assert epoch_of(sampler, 1) == epochs[1], 'an epoch can be repeated'


def test_without_shuffling():
    sampler = of_rank(5, shuffle=False)
    assert epoch_of(sampler, 4) == [0, 1, 2, 3, 4]
    assert [index.position for index in sampler] == [20, 21, 22, 23, 24]


@given(
    st.integers(1, 60), st.integers(1, 4), st.integers(1, 5), st.integers(0, 9)
)
def test_ranks_share_an_epoch_in_whole_batches(size, world, batch, epoch):
    if size < world * batch:
        with pytest.raises(ValueError, match=f'has {size} samples, but a'):
            of_rank(size, 0, world, batch_size=batch)
        return
    samplers = [
        of_rank(size, r, world, batch_size=batch) for r in range(world)
    ]
    ranks = [epoch_of(sampler, epoch) for sampler in samplers]
    length = size // (world * batch) * batch
    assert [len(rank) for rank in ranks] == [length] * world
    assert [len(sampler) for sampler in samplers] == [length] * world
    merged = [index for step in zip(*ranks, strict=True) for index in step]
    whole = epoch_of(of_rank(size), epoch)
    assert merged == whole[: length * world]
    assert [i.position for i in merged] == [
        epoch * size + place for place in range(length * world)
    ]


@given(st.integers(4, 60), st.integers(1, 2), st.integers(1, 2))
def test_a_loader_that_drops_the_last_batch_does_the_same(size, world, batch):
    def batches(sampler):
        return [*BatchSampler(sampler, batch, drop_last=True)]

    plain = batches(of_rank(size, 0, world))
    exact = batches(of_rank(size, 0, world, batch_size=batch))
    assert plain == exact


def test_the_left_out_differ_between_epochs():
    sampler = of_rank(10, 0, 4)
    left_out = {
        frozenset(range(10)) - frozenset(epoch_of(sampler, number))
        for number in range(20)
    }
    assert len(left_out) > 5


def test_a_resumed_epoch_goes_on_with_what_comes_next():
    class Positions(torch.utils.data.Dataset):
        def __len__(self):
            return 20

        def __getitem__(self, index):
            return int(index), index.position

    loader = DataLoader(
        Positions(),
        batch_size=4,
        sampler=EpochSampler(range(20), seed=1),
        num_workers=2,
    )
    loader.sampler.set_epoch(3)
    whole = [batch[1].tolist() for batch in loader]
    later = [batch[1].tolist() for batch in without_first_batches(loader, 2)]
    assert later == whole[2:]
    assert whole[0] == [60, 61, 62, 63]


def test_registry_and_defaults():
    sampler = DATA_SAMPLERS.build(
        dict(type='mmcp.EpochSampler', dataset=range(4), seed=0)
    )
    assert isinstance(sampler, EpochSampler)
    assert sampler.dataset == range(4)
    assert EpochSampler(range(3)).seed >= 0
    (index, *_) = sampler
    again = pickle.loads(pickle.dumps(index))
    assert (again, again.position, again.seed) == (index, 0, 0)


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(dataset=[]), 'has 0 samples, but a batch of 1'),
        (dict(dataset=[1], seed=-1), 'seed must be >= 0'),
        (dict(dataset=[1], batch_size=0), 'batch_size must be >= 1'),
    ],
)
def test_wrong_arguments(wrong, message):
    with pytest.raises(ValueError, match=message):
        EpochSampler(**wrong)
