"""Checks converted weights by what they compute."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmseg.models.backbones import ResNet, VisionTransformer
from torch import Tensor, nn

from conversion.efficient_net_reference import efficient_net_features
from conversion.reference import (
    resnet_features,
    stage_blocks,
    vit_features,
)
from mmcp.checkpoints import CheckpointError, ModelWeights
from mmcp.checkpoints.efficient_net_names import ARCHES, size_of
from mmcp.checkpoints.weights import state_dict_of
from mmcp.models import EfficientNet

# Between two ways to compute the same in float32.
TOLERANCE = 1e-4
_SIZE = 64
_STEM = re.compile(r'(_?conv_stem|layers\.0\.conv)\.weight$')
_RESNETS = {
    (False, (2, 2, 2, 2)): 18,
    (False, (3, 4, 6, 3)): 34,
    (True, (3, 4, 6, 3)): 50,
    (True, (3, 4, 23, 3)): 101,
    (True, (3, 8, 36, 3)): 152,
}


@dataclass(frozen=True)
class ForwardCheck:
    """What came of a check.

    Attributes:
        model: What was built; empty if nothing could be.
        difference: Largest difference of a feature, relative to the largest
            feature; None if the check was impossible.
    """

    model: str
    difference: float | None

    def __str__(self) -> str:
        """For people."""
        if self.difference is None:
            return (
                'forward check: not made; it knows ResNets with batch '
                'normalisation, EfficientNets and transformers by the names '
                'of timm, if their number of heads is known (--num-heads)'
            )
        return (
            f'forward check: {self.model} gives the features of the source; '
            f'largest relative difference {self.difference:.1e}'
        )


def check_forward(
    checkpoint: Mapping[str, Any],
    weights: ModelWeights,
    backbone: Mapping[str, Tensor],
) -> ForwardCheck:
    """Compares MMSegmentation's backbone with a forward pass of its source.

    Args:
        checkpoint: What the source file holds.
        weights: The same, sorted.
        backbone: The converted backbone, by names without prefix, positions
            not resized.

    Returns:
        The largest difference, or that no check is possible.

    Raises:
        CheckpointError: If features differ.
    """
    state = {
        str(name): value.float()
        for name, value in state_dict_of(checkpoint).items()
        if isinstance(value, Tensor)
    }
    pair = (
        _resnet(state, weights, backbone)
        or _efficient_net(state, weights, backbone)
        or _vit(state, weights, backbone)
    )
    if pair is None:
        return ForwardCheck('', None)
    model, title, images, expected = pair
    model.load_state_dict(
        {name: value.float() for name, value in backbone.items()},
        strict=False,
    )
    # MMSegmentation's eval() returns None.
    model.eval()
    with torch.no_grad():
        found = model(images)
    difference = _difference(found, expected)
    # It is not NaN, either.
    if not difference <= TOLERANCE:
        raise CheckpointError(
            f'{weights.source}: {title} with the converted weights gives '
            f'other features than the source (relative difference '
            f'{difference:.1e}). The file is not of the kind it looks like '
            f'({weights.layout.title}); nothing was written.'
        )
    return ForwardCheck(title, difference)


def _difference(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    differences = [
        (a - b).abs().max() / b.abs().max().clamp(min=1e-12)
        for a, b in zip(found, expected, strict=True)
    ]
    return float(torch.stack(differences).max())


_Pair = tuple[nn.Module, str, Tensor, list[Tensor]]


def _resnet(
    state: Mapping[str, Tensor],
    weights: ModelWeights,
    backbone: Mapping[str, Tensor],
) -> _Pair | None:
    names = set(backbone)
    bottleneck = 'layer1.0.conv3.weight' in names
    depth = _RESNETS.get((bottleneck, tuple(stage_blocks(names))))
    if depth is None or not {'conv1.weight', 'bn1.running_mean'} <= names:
        return None
    images = _images(_SIZE, _SIZE)
    with torch.no_grad():
        expected = resnet_features(
            lambda name: state[weights.origin[name]], names, images
        )
    model = ResNet(
        depth,
        stem_channels=backbone['conv1.weight'].shape[0],
        base_channels=backbone['layer1.0.conv1.weight'].shape[0],
    )
    return model, f'ResNet-{depth}', images, expected


def _efficient_net(
    state: Mapping[str, Tensor],
    weights: ModelWeights,
    backbone: Mapping[str, Tensor],
) -> _Pair | None:
    size = size_of({name: value.shape for name, value in backbone.items()})
    if size not in ARCHES:
        return None
    prefix = _STEM.sub('', weights.origin['layers.0.conv.weight'])
    names = {n.removeprefix(prefix) for n in state if n.startswith(prefix)}
    images = _images(_SIZE, _SIZE)
    with torch.no_grad():
        expected = efficient_net_features(
            lambda name: state[prefix + name], names, images
        )
    arch = ARCHES[size]
    model = EfficientNet(arch, out_indices=(1, 2, 3, 4, 5))
    return model, f'EfficientNet-{arch.upper()}', images, expected


def _vit(
    state: Mapping[str, Tensor],
    weights: ModelWeights,
    backbone: Mapping[str, Tensor],
) -> _Pair | None:
    kernel = backbone.get('patch_embed.projection.weight')
    if kernel is None or weights.num_heads is None:
        return None
    first = weights.origin['patch_embed.projection.weight']
    if not first.endswith('patch_embed.proj.weight'):
        return None
    prefix = first.removesuffix('patch_embed.proj.weight')
    names = {n.removeprefix(prefix) for n in state if n.startswith(prefix)}
    patch, dims = kernel.shape[2], kernel.shape[0]
    side = round((backbone['pos_embed'].shape[1] - 1) ** 0.5)
    images = _images(side * patch, side * patch)
    with torch.no_grad():
        expected = vit_features(
            lambda name: state[prefix + name], names, images, weights.num_heads
        )
    layers = sum(name.endswith('in_proj_weight') for name in backbone)
    model = VisionTransformer(
        img_size=side * patch,
        patch_size=patch,
        embed_dims=dims,
        num_layers=layers,
        num_heads=weights.num_heads,
        mlp_ratio=backbone['layers.0.ffn.layers.0.0.weight'].shape[0] // dims,
        norm_cfg=dict(type='LN', eps=1e-6),
        patch_bias=True,
        final_norm='ln1.weight' in backbone,
    )
    title = f'a transformer of {layers} layers and {weights.num_heads} heads'
    return model, title, images, expected


def _images(height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, height, width, generator=generator)
