"""Forward passes from a file's own names, to compare converted weights with.

Nothing here knows how names are translated: tensors are looked up by the
names that torchvision and timm gave them. Shapes: ``h w`` grid of features.
"""

import re
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Lookup = Callable[[str], Tensor]
Names = set[str]

_STRIDES = (1, 2, 2, 2)
_EPSILON = 1e-6


def stage_blocks(names: Names) -> list[int]:
    """Counts the blocks of a ResNet's stages.

    Args:
        names: torchvision's names.

    Returns:
        Number of blocks by stage.
    """
    found = {
        (int(match[1]), int(match[2]))
        for name in names
        if (match := re.match(r'layer(\d+)\.(\d+)\.', name))
    }
    stages = sorted({stage for stage, _ in found})
    return [sum(s == stage for s, _ in found) for stage in stages]


def resnet_features(get: Lookup, names: Names, images: Tensor) -> list[Tensor]:
    """Features of torchvision's ResNet, of basic or bottleneck blocks.

    Args:
        get: Finds a tensor by torchvision's name.
        names: The names there are.
        images: Shape (N, 3, H, W).

    Returns:
        The feature map of each stage, shape (N, C, h, w).
    """
    maps = F.conv2d(images, get('conv1.weight'), stride=2, padding=3)
    maps = F.max_pool2d(F.relu(_batch_norm(get, 'bn1', maps)), 3, 2, 1)
    results = []
    for stage, count in enumerate(stage_blocks(names)):
        for block in range(count):
            stride = _STRIDES[stage] if block == 0 else 1
            prefix = f'layer{stage + 1}.{block}.'
            maps = _block(get, names, prefix, maps, stride)
        results.append(maps)
    return results


def _block(
    get: Lookup, names: Names, prefix: str, maps: Tensor, stride: int
) -> Tensor:
    shortcut = maps
    if f'{prefix}downsample.0.weight' in names:
        kernel = get(f'{prefix}downsample.0.weight')
        shortcut = F.conv2d(maps, kernel, stride=stride)
        shortcut = _batch_norm(get, f'{prefix}downsample.1', shortcut)
    bottleneck = f'{prefix}conv3.weight' in names
    last, strided = (3, 2) if bottleneck else (2, 1)
    for number in range(1, last + 1):
        kernel = get(f'{prefix}conv{number}.weight')
        step = stride if number == strided else 1
        maps = F.conv2d(
            maps, kernel, stride=step, padding=kernel.shape[2] // 2
        )
        maps = _batch_norm(get, f'{prefix}bn{number}', maps)
        if number < last:
            maps = F.relu(maps)
    return F.relu(maps + shortcut)


def _batch_norm(get: Lookup, name: str, maps: Tensor) -> Tensor:
    return F.batch_norm(
        maps,
        get(f'{name}.running_mean'),
        get(f'{name}.running_var'),
        get(f'{name}.weight'),
        get(f'{name}.bias'),
    )


def vit_features(
    get: Lookup, names: Names, images: Tensor, num_heads: int
) -> list[Tensor]:
    """Features of timm's vision transformer, with its final norm if any.

    Args:
        get: Finds a tensor by timm's name.
        names: The names there are.
        images: Shape (N, 3, H, W), of the size it was trained for.
        num_heads: Attention heads.

    Returns:
        The map of the last layer, shape (N, D, h, w), in a list.
    """
    kernel = get('patch_embed.proj.weight')
    bias = get('patch_embed.proj.bias')
    grid = F.conv2d(images, kernel, bias, stride=kernel.shape[2])
    first = get('cls_token').expand(len(images), -1, -1)
    tokens = torch.cat([first, grid.flatten(2).transpose(1, 2)], dim=1)
    tokens = tokens + get('pos_embed')
    layer = 0
    while f'blocks.{layer}.attn.qkv.weight' in names:
        block = f'blocks.{layer}.'
        inner = _layer_norm(get, f'{block}norm1', tokens)
        tokens = tokens + _attention(get, f'{block}attn.', inner, num_heads)
        inner = _layer_norm(get, f'{block}norm2', tokens)
        hidden = F.gelu(_linear(get, f'{block}mlp.fc1', inner))
        tokens = tokens + _linear(get, f'{block}mlp.fc2', hidden)
        layer += 1
    if 'norm.weight' in names:
        tokens = _layer_norm(get, 'norm', tokens)
    return [tokens[:, 1:].transpose(1, 2).unflatten(2, grid.shape[2:])]


def _attention(
    get: Lookup, prefix: str, tokens: Tensor, num_heads: int
) -> Tensor:
    mixed = _linear(get, f'{prefix}qkv', tokens)
    mixed = mixed.unflatten(2, (3, num_heads, -1)).permute(2, 0, 3, 1, 4)
    query, key, value = mixed
    scores = query @ key.transpose(2, 3) * query.shape[3] ** -0.5
    result = (scores.softmax(3) @ value).transpose(1, 2).flatten(2)
    return _linear(get, f'{prefix}proj', result)


def _layer_norm(get: Lookup, name: str, tokens: Tensor) -> Tensor:
    weight = get(f'{name}.weight')
    bias = get(f'{name}.bias')
    return F.layer_norm(tokens, weight.shape, weight, bias, _EPSILON)


def _linear(get: Lookup, name: str, tokens: Tensor) -> Tensor:
    return F.linear(tokens, get(f'{name}.weight'), get(f'{name}.bias'))
