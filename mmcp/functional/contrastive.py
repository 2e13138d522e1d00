"""The losses of CP2, masked pooling and what is watched beside them.

Everything is computed in float32 (float64 for float64 inputs), inside
autocast too: unit vectors of 128 numbers and 65,537 logits lose the small
differences between them in half precision. ``A`` and ``B`` stand for the
positions of two grids.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

DENOMINATORS = ('key', 'query')


class _Product(torch.autograd.Function):
    """``torch.bmm`` with a backward pass in full precision.

    A compiled backward pass runs under the autocast that surrounds the whole
    compiled function, whatever was switched off inside.
    """

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor) -> Tensor:
        ctx.save_for_backward(left, right)
        return torch.bmm(left, right)

    @staticmethod
    def backward(
        ctx: Any, gradient: Tensor
    ) -> tuple[Tensor | None, Tensor | None]:
        left, right = ctx.saved_tensors
        to_left = to_right = None
        with _full_precision(gradient):
            if ctx.needs_input_grad[0]:
                to_left = torch.bmm(gradient, right.transpose(1, 2))
            if ctx.needs_input_grad[1]:
                to_right = torch.bmm(left.transpose(1, 2), gradient)
        return to_left, to_right


class PairStatistics(NamedTuple):
    """Means over a batch, each of shape (); nan where no sample counts.

    Attributes:
        accuracy: Share of foreground query positions whose most similar key
            position is foreground, in percent.
        foreground_cosine: Mean cosine of foreground query and foreground key
            positions.
        background_cosine: The same of foreground query and background key
            positions.
    """

    accuracy: Tensor
    foreground_cosine: Tensor
    background_cosine: Tensor


def dense_contrastive_loss(
    query: Tensor,
    key: Tensor,
    query_mask: Tensor,
    key_mask: Tensor,
    temperature: float,
    denominator: str,
    chunk_size: int | None = None,
) -> Tensor:
    """Draws foreground pixels of two composed images together.

    Implements Eq. 2 of `CP2 <https://arxiv.org/abs/2203.11709>`_ and the form
    that its released code computes. Both are the mean of
    ``log-sum-exp - similarity`` over all pairs of a foreground query and a
    foreground key pixel; they differ in what the sum goes over:

    - ``'key'``, Eq. 2: over all key pixels, for each foreground query pixel.
      Background pixels of the query get no gradient.
    - ``'query'``, as released: over all query pixels, for each foreground key
      pixel. Background pixels of the query are pushed away.

    The mean of the similarities is that of two sums of features, so only the
    log-sum-exp sees a matrix of pixels against pixels.

    Args:
        query: Features of the query, shape (N, D, S), unit norm over D. The
            function does not normalise.
        key: Features of the key, shape (N, D, S'), unit norm. No gradient.
        query_mask: Foreground of the query, bool or 0 and 1, shape (N, S).
        key_mask: Foreground of the key, shape (N, S').
        temperature: What cosines are divided by, tau_dense in the paper.
        denominator: ``'key'`` or ``'query'``.
        chunk_size: Rows of the matrix made at a time, and made again in the
            backward pass; for large inputs. Defaults to None, meaning all.

    Returns:
        Mean over the samples that have foreground in both images, shape ().
        Zero, with a graph, where no sample has.

    Raises:
        ValueError: If shapes do not fit, the denominator is unknown, or
            temperature or chunk size is not positive.
    """
    _check_dense(query, key, query_mask, key_mask)
    check_positive('temperature', temperature)
    if denominator not in DENOMINATORS:
        raise ValueError(
            f"denominator must be 'key' (Eq. 2 of the paper) or 'query' (as "
            f'released), but is {denominator!r}'
        )
    with _full_precision(query):
        query, key = _full(query), _full(key.detach())
        query_mask = query_mask.detach().to(query.dtype)
        key_mask = key_mask.detach().to(query.dtype)
        similarity = _mean_feature(query, query_mask) * _mean_feature(
            key, key_mask
        )
        if denominator == 'key':
            rows, row_mask, columns = query, query_mask, key
        else:
            rows, row_mask, columns = key, key_mask, query
        sums = _log_sum_exp(rows / temperature, columns, chunk_size)
        losses = _mean(sums, row_mask) - similarity.sum(dim=1) / temperature
        valid = query_mask.any(dim=1) & key_mask.any(dim=1)
        return _mean(losses, valid.to(losses.dtype))


def info_nce_loss(
    query: Tensor,
    key: Tensor,
    negatives: Tensor,
    temperature: float,
    weight: Tensor | None = None,
) -> Tensor:
    """Tells each query's key from the keys of other images.

    Implements Eq. 3 of `CP2 <https://arxiv.org/abs/2203.11709>`_, which is
    MoCo's loss.

    Args:
        query: Pooled query features, shape (N, D), unit norm. The function
            does not normalise.
        key: Each query's positive, shape (N, D), unit norm. No gradient.
        negatives: Queue of keys, shape (D, K), unit norm. No gradient. It is
            needed in the backward pass: give a copy of what changes before.
        temperature: What cosines are divided by, tau_ins in the paper.
        weight: Weight of every sample in the mean, shape (N,). Defaults to
            None, meaning all alike.

    Returns:
        Loss, shape (). Zero, with a graph, if all weights are zero.

    Raises:
        ValueError: If shapes do not fit or the temperature is not positive.
    """
    check_positive('temperature', temperature)
    with _full_precision(query):
        positive, negative = _similarities(query, key, negatives)
        positive = positive / temperature
        total = torch.logaddexp(
            positive, torch.logsumexp(negative / temperature, dim=1)
        )
        if weight is None:
            weight = torch.ones_like(positive)
        return _mean(total - positive, weight.detach().to(positive.dtype))


@torch.no_grad()
def info_nce_accuracy(query: Tensor, key: Tensor, negatives: Tensor) -> Tensor:
    """Share of queries that are more similar to their key than to the rest.

    Args:
        query: Pooled query features, shape (N, D), unit norm.
        key: Each query's positive, shape (N, D), unit norm.
        negatives: Queue of keys, shape (D, K), unit norm.

    Returns:
        Percent, shape ().

    Raises:
        ValueError: If shapes do not fit.
    """
    with _full_precision(query):
        positive, negative = _similarities(query, key, negatives)
        found = positive > negative.amax(dim=1)
        return 100 * found.to(positive.dtype).mean()


@torch.no_grad()
def pair_statistics(
    query: Tensor,
    key: Tensor,
    query_mask: Tensor,
    key_mask: Tensor,
    chunk_size: int | None = None,
) -> PairStatistics:
    """What to watch instead of the dense loss, whose range is narrow.

    With 196 pixels the loss starts at ln 196 = 5.28 and cannot fall below
    about 4.9, while the two cosines part visibly.

    Args:
        query: Features of the query, shape (N, D, S), unit norm.
        key: Features of the key, shape (N, D, S'), unit norm.
        query_mask: Foreground of the query, bool or 0 and 1, shape (N, S).
        key_mask: Foreground of the key, shape (N, S').
        chunk_size: Query positions compared at a time. Defaults to None,
            meaning all.

    Returns:
        Accuracy in percent and the two cosines.

    Raises:
        ValueError: If shapes do not fit.
    """
    _check_dense(query, key, query_mask, key_mask)
    with _full_precision(query):
        query, key = _full(query), _full(key)
        query_mask, key_mask = query_mask.bool(), key_mask.bool()
        hits = torch.cat(
            [
                key_mask.gather(1, _products(rows, key).argmax(dim=2))
                for rows in _chunks(query, chunk_size)
            ],
            dim=1,
        )
        part = query_mask.to(query.dtype)
        inside = key_mask.to(query.dtype)
        there = query_mask.any(dim=1)
        both = (there & key_mask.any(dim=1)).to(query.dtype)
        mixed = (there & ~key_mask.all(dim=1)).to(query.dtype)
        pooled = _mean_feature(query, part)
        return PairStatistics(
            100 * _mean_or_nan(_mean(hits.to(query.dtype), part), both),
            _mean_or_nan((pooled * _mean_feature(key, inside)).sum(1), both),
            _mean_or_nan(
                (pooled * _mean_feature(key, 1 - inside)).sum(1), mixed
            ),
        )


def unit_norm(features: Tensor) -> Tensor:
    """Scales features to length one, in float32.

    A zero vector of float16 would become nan: the smallest length that it
    is divided by rounds to zero there.

    Args:
        features: Features, shape (N, D, ...), any floating dtype.

    Returns:
        The same directions, float32 (float64 stays), zero where zero.
    """
    with _full_precision(features):
        return F.normalize(_full(features), dim=1)


def masked_pool(features: Tensor, mask: Tensor | None = None) -> Tensor:
    """The normalised mean of the foreground's features.

    Implements Eq. 4 of `CP2 <https://arxiv.org/abs/2203.11709>`_. A sample
    without foreground gets the mean of all its positions, so that the result
    has length one everywhere; whoever needs to leave it out has the mask.

    Args:
        features: Unit-norm features, shape (N, D, S).
        mask: Foreground, bool or 0 and 1, shape (N, S). Defaults to None,
            meaning all positions.

    Returns:
        Unit-norm features of the foregrounds, shape (N, D), float32 (float64
        stays).

    Raises:
        ValueError: If the shapes do not fit.
    """
    if mask is not None:
        _check_mask('mask', mask, 'features', features)
    with _full_precision(features):
        features = _full(features)
        if mask is None:
            return F.normalize(features.sum(dim=2), dim=1)
        mask = mask.detach().bool()
        mask = mask | ~mask.any(dim=1, keepdim=True)
        pooled = features * mask[:, None].to(features.dtype)
        return F.normalize(pooled.sum(dim=2), dim=1)


def resize_mask(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Samples masks at the centres of a feature grid's cells.

    Args:
        mask: Masks, bool or 0 and 1, shape (N, H, W).
        size: Height and width of the grid, (h, w).

    Returns:
        Masks on the grid, bool, shape (N, h, w).

    Raises:
        ValueError: If ``mask`` has not three dimensions.
    """
    if mask.ndim != 3:
        raise ValueError(
            f'masks must have shape (N, H, W), but have {tuple(mask.shape)}'
        )
    values = mask.detach()[:, None].to(torch.float32)
    return F.interpolate(values, size, mode='nearest-exact')[:, 0] > 0.5


def check_positive(name: str, value: float) -> None:
    """Refuses what is not above zero.

    Args:
        name: What it is called.
        value: The number.

    Raises:
        ValueError: If it is zero, negative or nan.
    """
    if not value > 0:
        raise ValueError(f'{name} must be positive, but is {value}')


def _full_precision(tensor: Tensor) -> AbstractContextManager[object]:
    return torch.autocast(tensor.device.type, enabled=False)


def _full(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean over the last dimension; zero where no weight is."""
    total = weights.sum(dim=-1)
    total = total.where(total > 0, 1)
    return (values * weights).sum(dim=-1) / total


def _mean_or_nan(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum() / weights.sum()


def _mean_feature(features: Tensor, mask: Tensor) -> Tensor:
    """(N, D, S), (N, S) -> (N, D)."""
    total = mask.sum(dim=1, keepdim=True)
    total = total.where(total > 0, 1)
    return (features * mask[:, None]).sum(dim=2) / total


def _log_sum_exp(
    rows: Tensor, columns: Tensor, chunk_size: int | None
) -> Tensor:
    """(N, D, A), (N, D, B) -> (N, A), summed over B."""
    if chunk_size is None:
        return _summed(rows, columns)
    parts = [
        checkpoint(_summed, part, columns, use_reentrant=False)
        for part in _chunks(rows, chunk_size)
    ]
    return torch.cat(parts, dim=1)


def _summed(rows: Tensor, columns: Tensor) -> Tensor:
    return torch.logsumexp(_products(rows, columns), dim=2)


def _products(rows: Tensor, columns: Tensor) -> Tensor:
    """(N, D, A), (N, D, B) -> (N, A, B)."""
    return _product(rows.transpose(1, 2), columns)


def _product(left: Tensor, right: Tensor) -> Tensor:
    """(N, A, D), (N, D, B) -> (N, A, B)."""
    result: Tensor = _Product.apply(left, right)  # type: ignore[no-untyped-call]
    return result


def _chunks(rows: Tensor, chunk_size: int | None) -> Iterator[Tensor]:
    if chunk_size is None:
        return iter((rows,))
    check_positive('chunk_size', chunk_size)
    return iter(torch.split(rows, chunk_size, dim=2))


def _similarities(
    query: Tensor, key: Tensor, negatives: Tensor
) -> tuple[Tensor, Tensor]:
    """(N, D), (N, D), (D, K) -> (N,), (N, K)."""
    if query.ndim != 2 or query.shape != key.shape:
        raise ValueError(
            'query and key must have the same shape (N, D), but have '
            f'{tuple(query.shape)} and {tuple(key.shape)}'
        )
    if negatives.ndim != 2 or negatives.shape[0] != query.shape[1]:
        raise ValueError(
            f'negatives must have shape ({query.shape[1]}, K), but have '
            f'{tuple(negatives.shape)}'
        )
    query, key = _full(query), _full(key.detach())
    negative = _product(query[None], _full(negatives.detach())[None])
    return (query * key).sum(dim=1), negative[0]


def _check_dense(
    query: Tensor, key: Tensor, query_mask: Tensor, key_mask: Tensor
) -> None:
    if (
        query.ndim != 3
        or key.ndim != 3
        or query.shape[:2] != key.shape[:2]
        or query.shape[2] == 0
        or key.shape[2] == 0
    ):
        raise ValueError(
            'query and key must have shapes (N, D, S) with the same N and D, '
            f'but have {tuple(query.shape)} and {tuple(key.shape)}'
        )
    _check_mask('query_mask', query_mask, 'query', query)
    _check_mask('key_mask', key_mask, 'key', key)


def _check_mask(name: str, mask: Tensor, of: str, features: Tensor) -> None:
    expected = (features.shape[0], features.shape[-1])
    if features.ndim != 3 or tuple(mask.shape) != expected:
        raise ValueError(
            f'{of} of shape (N, D, S) needs {name} of shape (N, S), but they '
            f'have {tuple(features.shape)} and {tuple(mask.shape)}'
        )
