"""Classification by the nearest neighbours of a feature."""

import torch
from torch import Tensor

__all__ = ['knn_classify']


def knn_classify(
    features: Tensor,
    bank: Tensor,
    labels: Tensor,
    *,
    num_classes: int,
    k: int = 20,
    temperature: float = 0.07,
    chunk_size: int = 256,
) -> Tensor:
    """Lets the k most similar features of a bank vote for a class.

    A vote weighs `exp(cosine / temperature)`, as in section 3.4 of
    `Instance Discrimination <https://arxiv.org/abs/1805.01978>`_.

    Args:
        features: What to classify, unit norm, shape (N, D).
        bank: Features of known class, unit norm, shape (B, D).
        labels: Classes of the bank, shape (B,), int64 in
            [0, num_classes).
        num_classes: Number of classes.
        k: Number of neighbours. Defaults to 20.
        temperature: Of the weights. Defaults to 0.07.
        chunk_size: Features compared with the bank at a time, which bounds
            the memory to (chunk_size, B). Defaults to 256.

    Returns:
        Classes, shape (N,), int64.

    Raises:
        ValueError: If k is not within [1, B], or the temperature not
            positive.
    """
    if not 1 <= k <= len(bank):
        raise ValueError(
            f'k must be within 1 and the {len(bank)} features of the bank, '
            f'but is {k}'
        )
    if temperature <= 0:
        raise ValueError(f'temperature must be > 0, but is {temperature}')
    return torch.cat(
        [
            _votes(chunk, bank, labels, num_classes, k, temperature).argmax(1)
            for chunk in torch.split(features, chunk_size)
        ]
    )


def _votes(
    features: Tensor,
    bank: Tensor,
    labels: Tensor,
    num_classes: int,
    k: int,
    temperature: float,
) -> Tensor:
    """Weight of the votes for each class, shape (N, num_classes)."""
    cosines, places = (features @ bank.T).topk(k, dim=1)  # (N, k)
    # The best neighbour weighs 1: no overflow at a small temperature.
    weights = ((cosines - cosines[:, :1]) / temperature).exp()
    votes = weights.new_zeros(len(features), num_classes)
    return votes.scatter_add_(1, labels[places], weights)
