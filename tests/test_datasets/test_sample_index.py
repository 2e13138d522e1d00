import random

import numpy as np
import torch

from mmcp.datasets.sample_index import SampleIndex, at, seeded


def draw():
    return (
        random.random(),
        np.random.random(),  # noqa: NPY002
        torch.rand(1).item(),
    )


def drawn_at(position, seed=0):
    with seeded(SampleIndex(0, position, seed)):
        return draw()


def test_draws_follow_from_seed_and_position():
    assert drawn_at(3) == drawn_at(3)
    others = [drawn_at(4), drawn_at(3, seed=1), drawn_at(2)]
    for other in others:
        pairs = zip(drawn_at(3), other, strict=True)
        assert all(a != b for a, b in pairs)


def test_the_states_before_come_back():
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)
    first = draw()
    expected = draw()
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)
    assert draw() == first
    drawn_at(5)
    assert draw() == expected


def test_a_plain_index_seeds_nothing():
    np.random.seed(1)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    with seeded(7):
        assert np.random.random() == expected  # noqa: NPY002


def test_an_index_of_the_same_sample_draws_on():
    """Or a data set inside another would draw the same numbers."""
    with seeded(SampleIndex(0, 3, 0)):
        outer = [draw(), draw()]
    with seeded(SampleIndex(0, 3, 0)):
        first = draw()
        with seeded(SampleIndex(5, 3, 0)):
            assert [first, draw()] == outer
    assert drawn_at(3) == outer[0]


def test_an_index_of_another_sample_is_seeded_inside():
    with seeded(SampleIndex(0, 3, 0)):
        draw()
        assert drawn_at(4) == drawn_at(4)
        with seeded(SampleIndex(0, 3, 0)):
            inner = draw()
    with seeded(SampleIndex(0, 3, 0)):
        assert [draw(), draw()][1] == inner


def test_another_place_keeps_position_and_seed():
    moved = at(SampleIndex(1, 7, 9), 4)
    assert (moved, moved.position, moved.seed) == (4, 7, 9)
    assert type(at(1, 4)) is int
    assert at(1, 4) == 4
