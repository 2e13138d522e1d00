import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from mmcp.functional.contrastive import (
    dense_contrastive_loss,
    info_nce_accuracy,
    info_nce_loss,
    masked_pool,
    pair_statistics,
    resize_mask,
    unit_norm,
)

DENOMINATORS = ('key', 'query')


def normed(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(*shape, generator=generator, dtype=torch.float64)
    return F.normalize(values, dim=1).to(dtype)


def drawn_mask(*shape, seed=0, share=0.6):
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(*shape, generator=generator) < share
    mask[:, 0], mask[:, -1] = True, False
    return mask


def pair(n=3, d=5, s=7, keys=None, dtype=torch.float64):
    """Query, key and their masks; the key has a grid of its own."""
    t = keys or s
    return (
        normed(n, d, s, seed=1, dtype=dtype),
        normed(n, d, t, seed=2, dtype=dtype),
        drawn_mask(n, s, seed=3),
        drawn_mask(n, t, seed=4),
    )


def looped_dense(query, key, query_mask, key_mask, temperature, denominator):
    """Eq. 2 written as it stands, pair by pair."""
    query, key = query.numpy(), key.numpy()
    losses = []
    for q, k, mq, mk in zip(query, key, query_mask, key_mask, strict=True):
        terms = []
        for x in np.flatnonzero(mq):
            for y in np.flatnonzero(mk):
                if denominator == 'key':
                    others = [q[:, x] @ k[:, z] for z in range(k.shape[1])]
                else:
                    others = [q[:, z] @ k[:, y] for z in range(q.shape[1])]
                total = sum(math.exp(v / temperature) for v in others)
                own = math.exp(q[:, x] @ k[:, y] / temperature)
                terms.append(-math.log(own / total))
        if terms:
            losses.append(sum(terms) / len(terms))
    return sum(losses) / len(losses)


@pytest.mark.parametrize('denominator', DENOMINATORS)
@pytest.mark.parametrize('temperature', [1.0, 0.2, 2.0])
@pytest.mark.parametrize('keys', [7, 4])
def test_dense_loss_is_the_double_sum(denominator, temperature, keys):
    inputs = pair(keys=keys)
    loss = dense_contrastive_loss(*inputs, temperature, denominator)
    expected = looped_dense(*inputs, temperature, denominator)
    assert float(loss) == pytest.approx(expected, abs=1e-10)


def test_dense_loss_of_two_pixels_by_hand():
    """Foreground 0, background 1, all features orthogonal or equal."""
    feature = torch.eye(2, dtype=torch.float64)[None]  # (1, D, S)
    mask = torch.tensor([[True, False]])
    for denominator in DENOMINATORS:
        loss = dense_contrastive_loss(
            feature, feature, mask, mask, 0.5, denominator
        )
        assert float(loss) == pytest.approx(math.log(1 + math.exp(-2)))


def test_the_two_denominators_differ():
    inputs = pair()
    values = [dense_contrastive_loss(*inputs, 1, d) for d in DENOMINATORS]
    assert abs(float(values[0] - values[1])) > 1e-4


def test_swapping_query_and_key_swaps_the_denominators():
    query, key, query_mask, key_mask = pair()
    one = dense_contrastive_loss(query, key, query_mask, key_mask, 1, 'key')
    two = dense_contrastive_loss(key, query, key_mask, query_mask, 1, 'query')
    torch.testing.assert_close(one, two)


@pytest.mark.parametrize('denominator', DENOMINATORS)
def test_the_releases_form_alone_moves_the_querys_background(denominator):
    query, key, query_mask, key_mask = pair()
    query.requires_grad_()
    dense_contrastive_loss(
        query, key, query_mask, key_mask, 1, denominator
    ).backward()
    background = query.grad.transpose(1, 2)[~query_mask].abs().amax(dim=1)
    if denominator == 'key':
        assert not background.any()
    else:
        assert background.all()


@pytest.mark.parametrize('denominator', DENOMINATORS)
def test_gradient_is_the_derivative(denominator):
    query, key, query_mask, key_mask = pair(n=2, d=3, s=4)
    assert torch.autograd.gradcheck(
        lambda q: dense_contrastive_loss(
            q, key, query_mask, key_mask, 0.7, denominator
        ),
        query.requires_grad_(),
    )


@pytest.mark.parametrize('denominator', DENOMINATORS)
def test_keys_and_masks_get_no_gradient(denominator):
    tensors = [t.double().requires_grad_() for t in pair()]
    dense_contrastive_loss(*tensors, 1, denominator).backward()
    assert tensors[0].grad is not None
    assert [t.grad for t in tensors[1:]] == [None] * 3


@given(
    denominator=st.sampled_from(DENOMINATORS),
    chunk_size=st.integers(1, 12),
    keys=st.integers(2, 9),
)
def test_chunks_change_neither_loss_nor_gradient(
    denominator, chunk_size, keys
):
    inputs = pair(keys=keys)
    results = []
    for size in (None, chunk_size):
        query = inputs[0].clone().requires_grad_()
        loss = dense_contrastive_loss(
            query, *inputs[1:], 0.5, denominator, chunk_size=size
        )
        loss.backward()
        results.append((loss.detach(), query.grad))
    torch.testing.assert_close(results[0], results[1])


def test_chunks_keep_no_matrix_for_the_backward_pass():
    query, key, query_mask, key_mask = pair(n=1, d=4, s=64)
    query.requires_grad_()

    def largest(chunk_size):
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t: sizes.append(t.numel()) or t, lambda t: t
        ):
            dense_contrastive_loss(
                query, key, query_mask, key_mask, 1, 'key', chunk_size
            )
        return max(sizes)

    assert largest(None) >= 64 * 64
    assert largest(8) <= 8 * 64


@pytest.mark.parametrize('denominator', DENOMINATORS)
@pytest.mark.parametrize('chunk_size', [None, 3])
def test_a_sample_without_foreground_is_left_out(denominator, chunk_size):
    query, key, query_mask, key_mask = pair()
    expected = dense_contrastive_loss(
        query[1:], key[1:], query_mask[1:], key_mask[1:], 1, denominator
    )
    for masks in (
        (mask_out(query_mask), key_mask),
        (query_mask, mask_out(key_mask)),
    ):
        leaf = query.clone().requires_grad_()
        loss = dense_contrastive_loss(
            leaf, key, *masks, 1, denominator, chunk_size
        )
        loss.backward()
        torch.testing.assert_close(loss, expected)
        assert not leaf.grad[0].any()
        assert leaf.grad[1:].isfinite().all()


def mask_out(mask):
    """The same without foreground in the first sample."""
    mask = mask.clone()
    mask[0] = False
    return mask


@pytest.mark.parametrize('denominator', DENOMINATORS)
def test_no_foreground_at_all_gives_zero_with_a_graph(denominator):
    query, key, query_mask, key_mask = pair()
    query.requires_grad_()
    loss = dense_contrastive_loss(
        query, key, query_mask & False, key_mask, 1, denominator
    )
    loss.backward()
    assert float(loss.detach()) == 0
    assert not query.grad.any()


@pytest.mark.parametrize('denominator', DENOMINATORS)
def test_foreground_everywhere_is_an_ordinary_case(denominator):
    query, key, query_mask, key_mask = pair()
    masks = query_mask | True, key_mask | True
    loss = dense_contrastive_loss(query, key, *masks, 1, denominator)
    expected = looped_dense(query, key, *masks, 1, denominator)
    assert float(loss) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize('denominator', DENOMINATORS)
def test_the_loss_starts_near_the_logarithm_of_the_positions(denominator):
    inputs = pair(n=4, d=128, s=196, dtype=torch.float32)
    loss = dense_contrastive_loss(*inputs, 1, denominator)
    assert float(loss) == pytest.approx(math.log(196), abs=0.02)


def test_the_floor_with_orthogonal_background():
    """Spec section 1: 5.03 at 65% foreground."""
    share = int(0.65 * 196)
    mask = torch.arange(196)[None] < share
    feature = torch.zeros(1, 2, 196)
    feature[0, 0] = mask[0]
    feature[0, 1] = ~mask[0]
    loss = dense_contrastive_loss(feature, feature, mask, mask, 1, 'query')
    assert float(loss) == pytest.approx(5.03, abs=0.01)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_full_precision_inside_autocast(dtype):
    inputs = pair(n=2, d=16, s=32, dtype=torch.float32)
    queue = normed(1, 16, 50, seed=9, dtype=torch.float32)[0]
    outside = [
        dense_contrastive_loss(*inputs, 0.1, 'query'),
        info_nce_loss(inputs[0][..., 0], inputs[1][..., 0], queue, 0.1),
    ]
    with torch.autocast('cpu', dtype=dtype):
        inside = [
            dense_contrastive_loss(*inputs, 0.1, 'query'),
            info_nce_loss(inputs[0][..., 0], inputs[1][..., 0], queue, 0.1),
        ]
        norm = unit_norm(inputs[0].to(dtype))
        pooled = masked_pool(inputs[0].to(dtype), inputs[2])
    assert inside == outside
    assert norm.dtype == pooled.dtype == torch.float32
    torch.testing.assert_close(
        pooled.norm(dim=1), torch.ones(2), atol=1e-6, rtol=0
    )


def test_half_precision_features_give_a_float32_loss():
    inputs = pair(dtype=torch.bfloat16)
    loss = dense_contrastive_loss(*inputs, 1, 'key')
    assert loss.dtype == torch.float32
    full = [t.float() if t.is_floating_point() else t for t in inputs]
    torch.testing.assert_close(
        loss, dense_contrastive_loss(*full, 1, 'key'), atol=0, rtol=0
    )


def looped_info_nce(query, key, negatives, temperature):
    losses = []
    for q, k in zip(query.numpy(), key.numpy(), strict=True):
        logits = [q @ k] + [q @ n for n in negatives.numpy().T]
        exp = [math.exp(value / temperature) for value in logits]
        losses.append(-math.log(exp[0] / sum(exp)))
    return losses


def instances(n=4, d=6, k=9):
    queue = normed(1, d, k, seed=7)[0]
    return normed(n, d, seed=5), normed(n, d, seed=6), queue


@pytest.mark.parametrize('temperature', [0.2, 1.0])
def test_info_nce_is_the_formula(temperature):
    inputs = instances()
    expected = np.mean(looped_info_nce(*inputs, temperature))
    loss = info_nce_loss(*inputs, temperature)
    assert float(loss) == pytest.approx(expected, abs=1e-10)


def test_info_nce_leaves_out_samples_of_weight_zero():
    inputs = instances()
    expected = looped_info_nce(*inputs, 0.2)
    weight = torch.tensor([False, True, False, True])
    query = inputs[0].requires_grad_()
    loss = info_nce_loss(*inputs, 0.2, weight)
    loss.backward()
    assert loss.item() == pytest.approx((expected[1] + expected[3]) / 2)
    assert query.grad.any(dim=1).tolist() == weight.tolist()
    none = info_nce_loss(*inputs, 0.2, weight & False)
    assert none.requires_grad
    assert float(none.detach()) == 0


def test_info_nce_gives_keys_and_queue_no_gradient():
    tensors = [t.requires_grad_() for t in instances()]
    info_nce_loss(*tensors, 0.2).backward()
    assert tensors[0].grad.any()
    assert tensors[1].grad is None
    assert tensors[2].grad is None


def test_info_nce_does_not_overflow():
    one = torch.eye(4)[:1]
    loss = info_nce_loss(one, -one, one.t(), 1e-3)
    assert float(loss) == pytest.approx(2000)


def test_accuracy_counts_queries_nearest_to_their_key():
    queue = torch.eye(3)[:, :1]
    query = torch.eye(3)
    key = torch.stack([query[0], query[1], -query[2]])
    # Ties with the queue do not count, nor does the one pointing away.
    accuracy = info_nce_accuracy(query, key, queue)
    assert float(accuracy) == pytest.approx(100 / 3)


def test_statistics_by_hand():
    """Query pixels: fg x, fg y, bg x. Key pixels: fg x, bg y."""
    x, y = torch.eye(2)
    query = torch.stack([x, y, x], dim=1)[None]
    key = torch.stack([x, y], dim=1)[None]
    masks = torch.tensor([[True, True, False]]), torch.tensor([[True, False]])
    for chunk_size in (None, 1, 2):
        found = pair_statistics(query, key, *masks, chunk_size)
        assert [float(v) for v in found] == [50, 0.5, 0.5]


def test_statistics_leave_out_samples_that_have_no_such_pairs():
    query, key, query_mask, key_mask = pair()
    expected = pair_statistics(
        query[1:], key[1:], query_mask[1:], key_mask[1:]
    )
    empty = pair_statistics(query, key, mask_out(query_mask), key_mask)
    torch.testing.assert_close(empty, expected)
    nothing = pair_statistics(query, key, query_mask & False, key_mask)
    assert all(value.isnan() for value in nothing)
    full = pair_statistics(query, key, query_mask, key_mask | True)
    assert full.background_cosine.isnan()
    assert full.foreground_cosine.isfinite()


def test_statistics_are_means_over_pairs():
    query, key, query_mask, key_mask = pair(n=1)
    cosines = query[0].T @ key[0]
    found = pair_statistics(query, key, query_mask, key_mask)
    inside = cosines[query_mask[0]][:, key_mask[0]]
    outside = cosines[query_mask[0]][:, ~key_mask[0]]
    torch.testing.assert_close(found.foreground_cosine, inside.mean())
    torch.testing.assert_close(found.background_cosine, outside.mean())


def test_zero_vectors_stay_zero_in_half_precision():
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        assert not unit_norm(torch.zeros(1, 4, 2, dtype=dtype)).any()
    assert F.normalize(torch.zeros(1, 4, dtype=torch.float16)).isnan().all()


def test_pooling_is_equation_4():
    features = normed(2, 3, 5)
    mask = torch.tensor([[1, 1, 0, 0, 1], [0, 1, 0, 0, 0]])
    pooled = masked_pool(features, mask)
    for n in range(2):
        total = sum(features[n, :, s] for s in range(5) if mask[n, s])
        torch.testing.assert_close(pooled[n], total / total.norm())


def test_pooling_an_empty_foreground_takes_the_whole_image():
    features = normed(2, 3, 5)
    mask = torch.tensor([[False] * 5, [True] * 5])
    torch.testing.assert_close(
        masked_pool(features, mask), masked_pool(features)
    )


@pytest.mark.parametrize(
    ('size', 'stride'), [(224, 16), (224, 14), (512, 8), (96, 32)]
)
def test_masks_are_sampled_at_the_centres_of_cells(size, stride):
    mask = drawn_mask(2, size * size, seed=8).view(2, size, size)
    grid = resize_mask(mask, (size // stride, size // stride))
    start = stride // 2
    assert torch.equal(grid, mask[:, start::stride, start::stride])


def test_masks_of_any_size_fit_the_feature_map():
    """A stride of 16 makes 15 cells of 225 pixels; slicing finds 14."""
    mask = torch.zeros(1, 225, 230, dtype=torch.bool)
    mask[:, :113, 100:] = True
    grid = resize_mask(mask, (15, 15))
    rows = [int((i + 0.5) * 225 / 15) < 113 for i in range(15)]
    columns = [int((j + 0.5) * 230 / 15) >= 100 for j in range(15)]
    expected = np.outer(rows, columns)
    assert np.array_equal(grid[0].numpy(), expected)


@pytest.mark.parametrize('denominator', DENOMINATORS)
@pytest.mark.parametrize('chunk_size', [None, 4])
def test_losses_compile_without_a_break(denominator, chunk_size):
    inputs = pair(n=2, d=8, s=9, dtype=torch.float32)
    queue = normed(1, 8, 20, seed=9, dtype=torch.float32)[0]

    def total(query, key, query_mask, key_mask):
        pooled = masked_pool(unit_norm(query), query_mask)
        positive = masked_pool(key, key_mask)
        return dense_contrastive_loss(
            query, key, query_mask, key_mask, 1.0, denominator, chunk_size
        ) + info_nce_loss(pooled, positive, queue, 0.2)

    torch.compiler.reset()
    compiled = torch.compile(total, backend='aot_eager', fullgraph=True)
    results = []
    for function in (total, compiled):
        query = inputs[0].clone().requires_grad_()
        with torch.autocast('cpu', dtype=torch.bfloat16):
            loss = function(query, *inputs[1:])
        loss.backward()
        results.append((loss.detach(), query.grad))
    torch.testing.assert_close(results[0], results[1])


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(denominator='both'), "must be 'key'.*'query'.*'both'"),
        (dict(temperature=0), 'temperature must be positive, but is 0'),
        (dict(chunk_size=0), 'chunk_size must be positive'),
        (dict(query=normed(3, 4, 7)), r'\(3, 4, 7\) and \(3, 5, 7\)'),
        (dict(query=normed(3, 5)), 'same N and D'),
        (dict(query_mask=drawn_mask(3, 6)), 'needs query_mask'),
        (dict(key_mask=drawn_mask(2, 7)), 'needs key_mask'),
    ],
)
def test_dense_loss_refuses(change, message):
    names = ('query', 'key', 'query_mask', 'key_mask')
    arguments = dict(zip(names, pair(), strict=True))
    arguments |= dict(temperature=1, denominator='key')
    with pytest.raises(ValueError, match=message):
        dense_contrastive_loss(**(arguments | change))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(key=normed(3, 6)), r'\(4, 6\) and \(3, 6\)'),
        (dict(negatives=normed(9, 6)), r'\(6, K\).*\(9, 6\)'),
        (dict(temperature=-1), 'temperature must be positive'),
    ],
)
def test_info_nce_refuses(change, message):
    names = ('query', 'key', 'negatives')
    arguments = dict(zip(names, instances(), strict=True))
    with pytest.raises(ValueError, match=message):
        info_nce_loss(**(arguments | dict(temperature=0.2) | change))


def test_masks_of_the_wrong_shape_are_refused():
    with pytest.raises(ValueError, match='needs mask of shape'):
        masked_pool(normed(2, 3, 5), drawn_mask(2, 4))
    with pytest.raises(ValueError, match='must have shape'):
        resize_mask(drawn_mask(2, 4), (2, 2))
