"""Self-attention of the class token in a vision transformer.

A forward pass of its own, since what is wanted is inside the last layer, of
which nothing but the attention is computed. Weights have timm's names, as
DINO's released backbones do. Shapes: h w grid of patches, L layers, D
embedding.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ['class_attention', 'num_layers', 'weight_shapes']

Weights = Mapping[str, Tensor]

_EPSILON = 1e-6


def num_layers(weights: Weights) -> int:
    """Counts the layers of a vision transformer.

    Args:
        weights: Its weights by timm's names.

    Returns:
        L; 0 if there is none.
    """
    numbers = {
        int(name.split('.')[1])
        for name in weights
        if name.startswith('blocks.')
    }
    return max(numbers, default=-1) + 1


def weight_shapes(weights: Weights) -> dict[str, tuple[int, ...]]:
    """Which weights a transformer of this size has, and their shapes.

    Args:
        weights: Its weights by timm's names.

    Returns:
        Shapes by name, those of ``weights`` where they are free to choose:
        the patch, the number of positions, D, and the hidden layer.

    Raises:
        ValueError: If what tells the sizes is missing.
    """
    for name in (
        'patch_embed.proj.weight',
        'pos_embed',
        'blocks.0.mlp.fc1.weight',
    ):
        if name not in weights:
            raise ValueError(f"there is no '{name}'")
    patch = tuple(weights['patch_embed.proj.weight'].shape)
    hidden = weights['blocks.0.mlp.fc1.weight'].shape[0]
    dims = patch[0]
    shapes: dict[str, tuple[int, ...]] = {
        'cls_token': (1, 1, dims),
        'pos_embed': (1, weights['pos_embed'].shape[1], dims),
        'patch_embed.proj.weight': patch,
        'patch_embed.proj.bias': (dims,),
        'norm.weight': (dims,),
        'norm.bias': (dims,),
    }
    linear = {
        'attn.qkv': (3 * dims, dims),
        'attn.proj': (dims, dims),
        'mlp.fc1': (hidden, dims),
        'mlp.fc2': (dims, hidden),
    }
    for layer in range(num_layers(weights)):
        block = f'blocks.{layer}.'
        for name in ('norm1', 'norm2'):
            shapes[f'{block}{name}.weight'] = (dims,)
            shapes[f'{block}{name}.bias'] = (dims,)
        for name, shape in linear.items():
            shapes[f'{block}{name}.weight'] = shape
            shapes[f'{block}{name}.bias'] = shape[:1]
    return shapes


def class_attention(
    weights: Weights, images: Tensor, num_heads: int
) -> Tensor:
    """What the class token attends to in the last layer.

    Args:
        weights: Those of ``weight_shapes``, on the images' device.
        images: Normalised RGB images of shape (N, 3, H, W), where H and W are
            multiples of the patch.
        num_heads: Attention heads of each layer. It cannot be seen from the
            weights.

    Returns:
        Attention of each head to each patch, shape (N, heads, h, w). A head's
        values sum to 1 less what the class token pays to itself.

    Raises:
        ValueError: If the images are no whole number of patches, or D is no
            multiple of ``num_heads``.
    """
    kernel = weights['patch_embed.proj.weight']
    dims, patch = kernel.shape[0], kernel.shape[2]
    height, width = images.shape[2:]
    if height % patch or width % patch:
        raise ValueError(
            f'images of {height}x{width} are no whole number of patches of '
            f'{patch}'
        )
    if dims % num_heads:
        raise ValueError(f'{dims} channels cannot have {num_heads} heads')
    tokens = _embed(weights, images, kernel, patch)
    last = num_layers(weights) - 1
    for layer in range(last):
        tokens = _layer(weights, f'blocks.{layer}.', tokens, num_heads)
    tokens = _norm(weights, f'blocks.{last}.norm1', tokens)
    query, key, _ = _heads(weights, f'blocks.{last}.', tokens, num_heads)
    scores = query[:, :, :1] @ key.transpose(2, 3) * query.shape[3] ** -0.5
    attention = scores.softmax(3)[:, :, 0, 1:]
    grid = height // patch, width // patch
    found: Tensor = attention.reshape(len(images), num_heads, *grid)
    return found


def _embed(
    weights: Weights, images: Tensor, kernel: Tensor, patch: int
) -> Tensor:
    """Class token and patches with their positions, (N, 1 + h * w, D)."""
    bias = weights['patch_embed.proj.bias']
    grid = F.conv2d(images, kernel, bias, stride=patch)
    first = weights['cls_token'].expand(len(images), -1, -1)
    tokens = torch.cat([first, grid.flatten(2).transpose(1, 2)], 1)
    return tokens + _positions(
        weights['pos_embed'], grid.shape[2], grid.shape[3]
    )


def _positions(embedding: Tensor, height: int, width: int) -> Tensor:
    """Positions for another grid, resized as DINO does it."""
    side = round((embedding.shape[1] - 1) ** 0.5)
    if (height, width) == (side, side):
        return embedding
    grid = embedding[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
    resized = F.interpolate(grid, (height, width), mode='bicubic')
    patches = resized.flatten(2).transpose(1, 2)
    return torch.cat([embedding[:, :1], patches], 1)


def _layer(
    weights: Weights, block: str, tokens: Tensor, num_heads: int
) -> Tensor:
    normed = _norm(weights, f'{block}norm1', tokens)
    query, key, value = _heads(weights, block, normed, num_heads)
    mixed = F.scaled_dot_product_attention(query, key, value)
    mixed = mixed.transpose(1, 2).flatten(2)
    tokens = tokens + _linear(weights, f'{block}attn.proj', mixed)
    hidden = _norm(weights, f'{block}norm2', tokens)
    hidden = F.gelu(_linear(weights, f'{block}mlp.fc1', hidden))
    return tokens + _linear(weights, f'{block}mlp.fc2', hidden)


def _heads(
    weights: Weights, block: str, tokens: Tensor, num_heads: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Query, key and value, each (N, heads, tokens, D / heads)."""
    mixed = _linear(weights, f'{block}attn.qkv', tokens)
    mixed = mixed.reshape(*tokens.shape[:2], 3, num_heads, -1)
    query, key, value = mixed.permute(2, 0, 3, 1, 4)
    return query, key, value


def _norm(weights: Weights, name: str, tokens: Tensor) -> Tensor:
    weight, bias = weights[f'{name}.weight'], weights[f'{name}.bias']
    return F.layer_norm(tokens, weight.shape, weight, bias, _EPSILON)


def _linear(weights: Weights, name: str, tokens: Tensor) -> Tensor:
    return F.linear(tokens, weights[f'{name}.weight'], weights[f'{name}.bias'])
