"""Classification by nearest neighbours."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from mmcp.functional.knn import knn_classify

AXES = torch.eye(3)


def by_loops(features, bank, labels, num_classes, k, temperature):
    """The same in plain numpy."""
    found = []
    for feature in features.double().numpy():
        cosines = bank.double().numpy() @ feature
        votes = np.zeros(num_classes)
        for place in np.argsort(-cosines)[:k]:
            votes[labels[place]] += np.exp(cosines[place] / temperature)
        found.append(votes.argmax())
    return found


def test_the_nearest_one_decides():
    found = knn_classify(
        AXES, AXES[[2, 0, 1]], torch.tensor([5, 7, 6]), num_classes=9, k=1
    )
    assert found.tolist() == [7, 6, 5]


def test_a_close_neighbour_outweighs_two_distant_ones():
    bank = F.normalize(
        torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.6, -0.8]]), dim=1
    )
    labels = torch.tensor([0, 1, 1])
    options = dict(num_classes=2, k=3)
    query = torch.tensor([[1.0, 0.0]])
    near = knn_classify(query, bank, labels, temperature=0.07, **options)
    flat = knn_classify(query, bank, labels, temperature=10.0, **options)
    assert (near.item(), flat.item()) == (0, 1)


@given(
    seed=st.integers(0, 1000),
    k=st.integers(1, 12),
    temperature=st.sampled_from([0.03, 0.07, 1.0]),
    chunk_size=st.integers(1, 8),
)
def test_it_votes_as_plain_loops_do(seed, k, temperature, chunk_size):
    generator = torch.Generator().manual_seed(seed)
    bank = F.normalize(torch.randn(12, 4, generator=generator), dim=1)
    queries = F.normalize(torch.randn(7, 4, generator=generator), dim=1)
    labels = torch.randint(0, 3, (12,), generator=generator)
    found = knn_classify(
        queries,
        bank,
        labels,
        num_classes=3,
        k=k,
        temperature=temperature,
        chunk_size=chunk_size,
    )
    expected = by_loops(queries, bank, labels, 3, k, temperature)
    assert found.tolist() == expected


def test_a_tiny_temperature_does_not_overflow():
    bank = torch.tensor([[0.8, 0.6], [1.0, 0.0]])
    found = knn_classify(
        bank[1:], bank, torch.arange(2), num_classes=2, k=2, temperature=1e-4
    )
    assert found.tolist() == [1]


def test_nothing_to_classify():
    found = knn_classify(AXES[:0], AXES, torch.arange(3), num_classes=3, k=1)
    assert found.shape == (0,)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(k=0), 'k must be within 1 and the 3 features'),
        (dict(k=4), 'but is 4'),
        (dict(k=1, temperature=0), 'temperature must be > 0'),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        knn_classify(AXES, AXES, torch.arange(3), num_classes=3, **options)
