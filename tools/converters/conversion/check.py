"""Checks converted weights: that they are whole, and what they compute."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmseg.models.backbones import ResNet, VisionTransformer
from torch import Tensor, nn

from conversion.efficient_net_reference import efficient_net_features
from conversion.models import (
    TIMM_KERNEL,
    build_backbone,
    build_head,
    require_complete,
)
from conversion.reference import resnet_features, vit_features
from mmcp.checkpoints import CheckpointError, ModelWeights
from mmcp.checkpoints.weights import state_dict_of
from mmcp.models import EfficientNet

# Between two ways to compute the same in float32.
TOLERANCE = 1e-4
_SIZE = 64
_STEM = re.compile(r'(_?conv_stem|layers\.0\.conv)\.weight$')
# The first convolution of a backbone that has a prefix of its own.
_BEGINNING = re.compile(
    r'(?P<prefix>.+\.)(conv1|_?conv_stem|patch_embed\.proj(ection)?)\.weight'
)
_COLOURS = 3


@dataclass(frozen=True)
class ForwardCheck:
    """What came of a check.

    Attributes:
        model: What was built, and is filled by the weights; empty if their
            architecture is not known.
        difference: Largest difference of a feature, relative to the largest
            feature; None if the comparison was impossible.
    """

    model: str
    difference: float | None

    def __str__(self) -> str:
        """For people."""
        if not self.model:
            return (
                'forward check: not made; it knows ResNets with one 7x7 '
                'convolution and batch normalisation, EfficientNets B0 to B8 '
                'and transformers'
            )
        if self.difference is None:
            return (
                f'forward check: not made, but all tensors of {self.model} '
                'are there; it knows transformers by the names of timm, if '
                'their number of heads is known (--num-heads)'
            )
        return (
            f'forward check: {self.model} gives the features of the source; '
            f'largest relative difference {self.difference:.1e}'
        )


def check_backbone(
    checkpoint: Mapping[str, Any],
    weights: ModelWeights,
    backbone: Mapping[str, Tensor],
    *,
    heads_given: bool = False,
) -> ForwardCheck:
    """Compares MMSegmentation's backbone with a forward pass of its source.

    Args:
        checkpoint: What the source file holds.
        weights: The same, sorted.
        backbone: The converted backbone, by names without prefix, positions
            not resized.
        heads_given: Whether the number of attention heads is the user's: it
            is in both of what is compared. Defaults to False.

    Returns:
        The largest difference, or that no check is possible.

    Raises:
        CheckpointError: If the backbone is incomplete, or features differ.
    """
    built = build_backbone(weights, backbone, heads_given=heads_given)
    if built is None:
        _check_prefix(weights, backbone)
        return ForwardCheck('', None)
    title, model = built.title, built.module
    require_complete('backbone', built, backbone, weights.source)
    state = {
        str(name): value.float()
        for name, value in state_dict_of(checkpoint).items()
        if isinstance(value, Tensor)
    }
    with torch.no_grad():
        pair = _reference(model, state, weights, backbone)
    if pair is None:
        return ForwardCheck(title, None)
    images, expected = pair
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


def check_head(weights: ModelWeights, head: Mapping[str, Tensor]) -> bool:
    """Compares a decode head with MMSegmentation's, by names and shapes.

    Args:
        weights: What the source file holds.
        head: The converted head, by names without prefix.

    Returns:
        False if it is of no kind that is known here.

    Raises:
        CheckpointError: If it is incomplete.
    """
    built = build_head(head)
    if built is not None:
        require_complete('head', built, head, weights.source)
    return built is not None


def _check_prefix(
    weights: ModelWeights, backbone: Mapping[str, Tensor]
) -> None:
    """Raises if a given prefix leaves one of the backbone's own."""
    matches = (
        _BEGINNING.fullmatch(name)
        for name, value in backbone.items()
        if value.ndim == 4 and value.shape[1] == _COLOURS
    )
    inner = sorted({match['prefix'] for match in matches if match})
    if inner and weights.layout.name == 'prefix':
        longer = [f"'{weights.layout.backbone}{prefix}'" for prefix in inner]
        raise CheckpointError(
            f'{weights.source} has no backbone right under the prefix that '
            f'was given, but under {" and ".join(longer)}; give --prefix so. '
            'Nothing was written.'
        )


def _difference(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    differences = [
        (a - b).abs().max() / b.abs().max().clamp(min=1e-12)
        for a, b in zip(found, expected, strict=True)
    ]
    return float(torch.stack(differences).max())


_Pair = tuple[Tensor, list[Tensor]]


def _reference(
    model: nn.Module,
    state: Mapping[str, Tensor],
    weights: ModelWeights,
    backbone: Mapping[str, Tensor],
) -> _Pair | None:
    """Images, and the features of the source; None if none can be made."""
    if isinstance(model, ResNet):
        images = _images(_SIZE, _SIZE)
        return images, resnet_features(
            lambda name: state[weights.origin[name]], set(backbone), images
        )
    if isinstance(model, EfficientNet):
        images = _images(_SIZE, _SIZE)
        prefix = _STEM.sub('', weights.origin['layers.0.conv.weight'])
        names = _names_under(prefix, state)
        return images, efficient_net_features(
            lambda name: state[prefix + name], names, images
        )
    first = weights.origin['patch_embed.projection.weight']
    heads = weights.num_heads
    if heads is None or not first.endswith(TIMM_KERNEL):
        return None
    assert isinstance(model, VisionTransformer)
    images = _images(*model.img_size)
    prefix = first.removesuffix(TIMM_KERNEL)
    return images, vit_features(
        lambda name: state[prefix + name],
        _names_under(prefix, state),
        images,
        heads,
    )


def _names_under(prefix: str, state: Mapping[str, Tensor]) -> set[str]:
    return {n.removeprefix(prefix) for n in state if n.startswith(prefix)}


def _images(height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, height, width, generator=generator)
