import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmcp.models.selfsup.shuffle import (
    check_equal_batches,
    gather_batch,
    own_part,
    shuffle_order,
)


@given(
    count=st.integers(1, 600),
    step=st.integers(0, 2**40),
    seed=st.integers(-(2**31), 2**31),
)
def test_it_is_a_permutation_that_can_be_repeated(count, step, seed):
    step = torch.tensor(step)
    order = shuffle_order(count, step, seed)
    assert order.sort().values.tolist() == list(range(count))
    assert torch.equal(order, shuffle_order(count, step.clone(), seed))
    data = torch.arange(count)
    assert torch.equal(data[order][torch.argsort(order)], data)


def test_steps_and_seeds_give_other_orders():
    orders = {
        tuple(shuffle_order(16, torch.tensor(step), seed).tolist())
        for step in range(30)
        for seed in range(30)
    }
    assert len(orders) == 900


def test_every_place_goes_everywhere_alike():
    """Chi-square of 8 x 8 counts: 49 degrees, 99.9% below 86."""
    counts = torch.zeros(8, 8)
    for step in range(4000):
        order = shuffle_order(8, torch.tensor(step), 7)
        counts[torch.arange(8), order] += 1
    assert float(((counts - 500) ** 2 / 500).sum()) < 86


def test_neighbours_are_parted():
    """A pair of neighbours stays one in 2/n of the steps, as by chance."""
    together = 0
    for step in range(4000):
        order = shuffle_order(10, torch.tensor(step), 3).argsort()
        together += int(abs(order[4] - order[5]) == 1)
    assert together / 4000 == pytest.approx(0.2, abs=0.03)


def test_one_rank_exchanges_nothing():
    part = torch.randn(3, 2)
    assert gather_batch(part) is part
    assert torch.equal(own_part(part), part)
    check_equal_batches(3, part.device)
