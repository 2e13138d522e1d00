import math

import numpy as np
import pytest
import torch
from vit_samples import random_transformer

from mmcp.functional.vit_attention import (
    class_attention,
    num_layers,
    weight_shapes,
)

HEADS = 2


def naive(weights, image, heads):
    """One image, one token and one head at a time, in float64."""
    w = {name: value.double().numpy() for name, value in weights.items()}
    dims, _, patch, _ = w['patch_embed.proj.weight'].shape
    image = image.double().numpy()
    rows, columns = image.shape[1] // patch, image.shape[2] // patch
    kernel = w['patch_embed.proj.weight'].reshape(dims, -1)
    tokens = [w['cls_token'][0, 0]]
    for y in range(rows):
        for x in range(columns):
            part = image[
                :, y * patch : (y + 1) * patch, x * patch : (x + 1) * patch
            ]
            tokens.append(kernel @ part.ravel() + w['patch_embed.proj.bias'])
    tokens = np.array(tokens) + w['pos_embed'][0]
    layers = num_layers(weights)
    for layer in range(layers):
        names = f'blocks.{layer}.'
        mixed, attention = attend(
            w, names, norm(w, names + 'norm1', tokens), heads
        )
        if layer == layers - 1:
            return attention[:, 0, 1:].reshape(heads, rows, columns)
        tokens = tokens + linear(w, names + 'attn.proj', mixed)
        hidden = linear(w, names + 'mlp.fc1', norm(w, names + 'norm2', tokens))
        gelu = np.vectorize(lambda v: v * 0.5 * (1 + math.erf(v / 2**0.5)))
        tokens = tokens + linear(w, names + 'mlp.fc2', gelu(hidden))


def attend(w, names, tokens, heads):
    count, dims = tokens.shape
    size = dims // heads
    mixed = linear(w, names + 'attn.qkv', tokens)
    attention = np.zeros((heads, count, count))
    out = np.zeros((count, dims))
    for head in range(heads):
        query, key, value = (
            mixed[
                :, part * dims + head * size : part * dims + (head + 1) * size
            ]
            for part in range(3)
        )
        for row in range(count):
            scores = np.exp(key @ query[row] / math.sqrt(size))
            attention[head, row] = scores / scores.sum()
        out[:, head * size : (head + 1) * size] = attention[head] @ value
    return out, attention


def norm(w, name, tokens):
    mean = tokens.mean(1, keepdims=True)
    std = np.sqrt(tokens.var(1, keepdims=True) + 1e-6)
    return (tokens - mean) / std * w[f'{name}.weight'] + w[f'{name}.bias']


def linear(w, name, tokens):
    return tokens @ w[f'{name}.weight'].T + w[f'{name}.bias']


@pytest.mark.parametrize('layers', [1, 3])
def test_attention_is_that_of_plain_loops(layers):
    weights = random_transformer(layers=layers)
    images = torch.randn(2, 3, 12, 12, generator=torch.Generator())
    found = class_attention(weights, images, HEADS)
    assert found.shape == (2, HEADS, 3, 3)
    for one, image in zip(found, images, strict=True):
        expected = naive(weights, image, HEADS)
        np.testing.assert_allclose(one.numpy(), expected, atol=1e-6)
    # What is left is the class token's attention to itself.
    assert (found.sum((2, 3)) < 1).all()


def test_the_number_of_heads_matters():
    weights = random_transformer()
    images = torch.randn(1, 3, 12, 12)
    two, four = (class_attention(weights, images, n).mean(1) for n in (2, 4))
    assert not torch.allclose(two, four, atol=1e-4)


def test_other_grids_resize_the_positions():
    weights = random_transformer(side=4)
    flat = dict(weights, pos_embed=torch.zeros(1, 17, 16))
    even = dict(weights, pos_embed=torch.ones(1, 17, 16))
    images = torch.randn(1, 3, 20, 8)
    assert class_attention(weights, images, HEADS).shape == (1, HEADS, 5, 2)
    # Equal positions stay equal whatever the grid.
    shifted = dict(flat)
    shifted['cls_token'] = flat['cls_token'] + 1
    bias = 'patch_embed.proj.bias'
    shifted[bias] = flat[bias] + 1
    torch.testing.assert_close(
        class_attention(even, images, HEADS),
        class_attention(shifted, images, HEADS),
        atol=1e-5,
        rtol=1e-4,
    )


def test_shapes_of_all_weights():
    weights = random_transformer(layers=3)
    shapes = {name: tuple(value.shape) for name, value in weights.items()}
    assert weight_shapes(weights) == shapes
    assert num_layers(weights) == 3
    assert num_layers({}) == 0
    del weights['pos_embed']
    with pytest.raises(ValueError, match="no 'pos_embed'"):
        weight_shapes(weights)


def test_wrong_sizes():
    weights = random_transformer()
    with pytest.raises(ValueError, match='13x12 are no whole number'):
        class_attention(weights, torch.zeros(1, 3, 13, 12), HEADS)
    with pytest.raises(ValueError, match='16 channels cannot have 5 heads'):
        class_attention(weights, torch.zeros(1, 3, 12, 12), 5)
