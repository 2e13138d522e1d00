"""Small vision transformers with random weights and timm's names."""

import torch


def random_transformer(
    dims=16, layers=2, side=3, patch=4, hidden=24, seed=0, scale=0.3
):
    """Weights by name, all of them."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return scale * torch.randn(shape, generator=generator)

    weights = {
        'cls_token': draw(1, 1, dims),
        'pos_embed': draw(1, 1 + side * side, dims),
        'patch_embed.proj.weight': draw(dims, 3, patch, patch),
        'patch_embed.proj.bias': draw(dims),
        'norm.weight': 1 + draw(dims),
        'norm.bias': draw(dims),
    }
    for layer in range(layers):
        for name, rows, columns in (
            ('attn.qkv', 3 * dims, dims),
            ('attn.proj', dims, dims),
            ('mlp.fc1', hidden, dims),
            ('mlp.fc2', dims, hidden),
        ):
            weights[f'blocks.{layer}.{name}.weight'] = draw(rows, columns)
            weights[f'blocks.{layer}.{name}.bias'] = draw(rows)
        for name in ('norm1', 'norm2'):
            weights[f'blocks.{layer}.{name}.weight'] = 1 + draw(dims)
            weights[f'blocks.{layer}.{name}.bias'] = draw(dims)
    return weights
