"""Builds the models that converted weights must fill, told by their names."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt
from typing import Any

from mmseg.models.backbones import ResNet, VisionTransformer
from mmseg.models.decode_heads import ASPPHead, FCNHead
from torch import Tensor, nn

from mmcp.checkpoints import CheckpointError, ModelWeights
from mmcp.checkpoints.comparison import compare
from mmcp.checkpoints.efficient_net_names import ARCHES, size_of
from mmcp.checkpoints.weights import CLASSIFIER
from mmcp.models import EfficientNet

Tensors = Mapping[str, Tensor]

# From the smallest: an incomplete one is taken for the first that holds it.
_RESNETS = {
    18: (False, (2, 2, 2, 2)),
    34: (False, (3, 4, 6, 3)),
    50: (True, (3, 4, 6, 3)),
    101: (True, (3, 4, 23, 3)),
    152: (True, (3, 8, 36, 3)),
}
_NORM = r'(weight|bias|running_mean|running_var|num_batches_tracked)'
_RESNET = re.compile(
    rf'(layer[1-4]\.\d+\.)?(conv[123]\.weight|bn[123]\.{_NORM}'
    rf'|downsample\.(0\.weight|1\.{_NORM}))'
)
_WIDTH = 64
_TRANSFORMER = re.compile(
    r'(layers\.\d+\.attn\.attn|blocks\.\d+\.attn\.qkv)\.'
)
_KERNEL = 'patch_embed.projection.weight'
TIMM_KERNEL = 'patch_embed.proj.weight'


@dataclass(frozen=True)
class Built:
    """An empty model.

    Attributes:
        title: What people call it.
        module: The model.
    """

    title: str
    module: nn.Module


def build_backbone(
    weights: ModelWeights, backbone: Tensors, *, heads_given: bool = False
) -> Built | None:
    """Builds the backbone that some weights look like.

    Args:
        weights: What the source file holds.
        backbone: The converted backbone, by names without prefix.
        heads_given: Whether the number of attention heads is the user's.
            Defaults to False.

    Returns:
        The backbone; None if it is of no kind that is known here.

    Raises:
        CheckpointError: If the number of attention heads is impossible.
    """
    return (
        _resnet(backbone)
        or _efficient_net(backbone)
        or _transformer(weights, backbone, heads_given)
    )


def build_head(head: Tensors) -> Built | None:
    """Builds the decode head that some weights look like.

    Args:
        head: The converted head, by names without prefix.

    Returns:
        An FCNHead or an ASPPHead; None if it is neither.
    """
    kinds = {name.rpartition('.')[0].rpartition('.')[2] for name in head}
    roots = {name.split('.', 1)[0] for name in head}
    if not kinds <= {'conv', 'bn', 'gn'}:
        return None
    if 'convs' in roots and roots <= {'convs', 'conv_cat'}:
        return Built('an FCNHead', _fcn_head(head))
    if 'aspp_modules' in roots and roots <= {
        'aspp_modules',
        'image_pool',
        'bottleneck',
    }:
        return Built('an ASPPHead', _aspp_head(head))
    return None


def require_complete(
    part: str, built: Built, held: Tensors, source: str
) -> None:
    """Raises unless weights fill a model, by names and shapes.

    Args:
        part: ``'backbone'`` or ``'head'``.
        built: The model.
        held: The weights.
        source: What the error calls the file.

    Raises:
        CheckpointError: If a tensor is missing, too many or misshapen.
    """
    needed = {
        name: value
        for name, value in built.module.state_dict().items()
        if CLASSIFIER not in name.split('.')
    }
    problems = compare(part, needed, held).problems()
    if problems:
        raise CheckpointError(
            f'{source} looks like {built.title}, but does not fit it ('
            f'{"; ".join(problems)}). The file is incomplete or of another '
            'kind; nothing was written.'
        )


def _resnet(backbone: Tensors) -> Built | None:
    """Of plain blocks and one 7x7 convolution, as the tool knows them."""
    kernels = {
        number: [
            value.shape
            for name, value in backbone.items()
            if re.fullmatch(rf'layer\d\.\d+\.conv{number}\.weight', name)
        ]
        for number in (1, 2, 3)
    }
    if (
        not any(kernels.values())
        or not all(_RESNET.fullmatch(name) for name in backbone)
        or not any(name.endswith('running_mean') for name in backbone)
        # ResNeXt and Wide ResNet.
        or any(shape[0] != shape[1] for shape in kernels[2])
        or any(shape[0] != 4 * shape[1] for shape in kernels[3])
    ):
        return None
    blocks = [_count(backbone, rf'layer{i}\.(\d+)\.') for i in range(1, 5)]
    for depth, (bottleneck, counts) in _RESNETS.items():
        fits = all(a <= b for a, b in zip(blocks, counts, strict=True))
        if fits and bottleneck == bool(kernels[3]):
            width = _resnet_width(backbone)
            stem = backbone.get('conv1.weight')
            module = ResNet(
                depth,
                stem_channels=width if stem is None else stem.shape[0],
                base_channels=width,
            )
            return Built(f'a ResNet-{depth}', module)
    return None


def _resnet_width(backbone: Tensors) -> int:
    for name, value in backbone.items():
        match = re.fullmatch(r'layer(\d)\.\d+\.conv1\.weight', name)
        if match:
            return value.shape[0] >> (int(match[1]) - 1)
    return _WIDTH


def _efficient_net(backbone: Tensors) -> Built | None:
    size = size_of({name: value.shape for name, value in backbone.items()})
    if size not in ARCHES:
        return None
    arch = ARCHES[size]
    module = EfficientNet(arch, out_indices=(1, 2, 3, 4, 5))
    return Built(f'an EfficientNet-{arch.upper()}', module)


def _transformer(
    weights: ModelWeights, backbone: Tensors, heads_given: bool
) -> Built | None:
    """MMSegmentation's, whose names all transformers of timm are given."""
    if not any(_TRANSFORMER.match(name) for name in backbone):
        return None
    # MMSegmentation's own may be built without, timm's never are.
    timm = weights.origin.get(_KERNEL, TIMM_KERNEL).endswith(TIMM_KERNEL)
    positions = backbone.get('pos_embed')
    count = 1 if positions is None else positions.shape[1] - 1
    kernel = backbone.get(_KERNEL)
    patch = 1 if kernel is None else kernel.shape[2]
    rows = max(isqrt(count), 1) if timm else 1
    columns = rows if timm else count
    dims, hidden = _transformer_widths(backbone)
    heads = weights.num_heads
    if heads is not None and (heads < 1 or dims % heads):
        raise CheckpointError(
            f'{weights.source} is a transformer of {dims} channels, which '
            f'{heads} attention heads cannot share; nothing was written. '
            '--num-heads says how many it has.'
        )
    layers = _count(backbone, r'(?:layers|blocks)\.(\d+)\.')
    module = VisionTransformer(
        img_size=(rows * patch, columns * patch),
        patch_size=patch,
        embed_dims=dims,
        num_layers=layers,
        num_heads=heads or 1,
        mlp_ratio=max(hidden // dims, 1),
        norm_cfg=dict(type='LN', eps=1e-6),
        qkv_bias=timm or any(n.endswith('in_proj_bias') for n in backbone),
        patch_bias=timm or 'patch_embed.projection.bias' in backbone,
        patch_norm='patch_embed.norm.weight' in backbone,
        pre_norm='ln_pre.weight' in backbone,
        final_norm='ln1.weight' in backbone,
    )
    title = f'a transformer of {layers} layers'
    if heads and heads_given:
        title += f' with the {heads} heads that you gave'
    elif heads:
        title += f' and {heads} heads'
    return Built(title, module)


def _transformer_widths(backbone: Tensors) -> tuple[int, int]:
    """Channels, and those inside of the feed-forward networks."""
    for name, value in backbone.items():
        if name.endswith('ffn.layers.0.0.weight'):
            return value.shape[1], value.shape[0]
    widths = [
        value.shape[-1]
        for name, value in backbone.items()
        if re.search(r'(in_proj_|qkv\.)weight$', name)
    ]
    width = widths[0] if widths else _WIDTH
    return width, width


def _fcn_head(head: Tensors) -> nn.Module:
    channels, inputs, size = _kernel(head, r'convs\.\d+\.')
    first = head.get('convs.0.conv.weight')
    return FCNHead(
        in_channels=inputs if first is None else first.shape[1],
        channels=channels,
        num_convs=_count(head, r'convs\.(\d+)\.'),
        kernel_size=size,
        concat_input=any(name.startswith('conv_cat.') for name in head),
        **_common(head),
    )


def _aspp_head(head: Tensors) -> nn.Module:
    channels, inputs, _ = _kernel(head, r'(aspp_modules\.\d+|image_pool\.1)\.')
    kernels = [
        head.get(f'aspp_modules.{branch}.conv.weight')
        for branch in range(_count(head, r'aspp_modules\.(\d+)\.'))
    ]
    return ASPPHead(
        in_channels=inputs,
        channels=channels,
        # Their kernels are 1x1 where the dilation is 1, and 3x3 elsewhere.
        dilations=[2 if k is None else k.shape[2] for k in kernels],
        **_common(head),
    )


def _kernel(head: Tensors, start: str) -> tuple[int, int, int]:
    """Outputs, inputs and size of the first convolution of some name."""
    for name, value in head.items():
        if re.fullmatch(rf'{start}conv\.weight', name):
            return value.shape[0], value.shape[1], value.shape[2]
    return 1, 1, 1


def _common(head: Tensors) -> dict[str, Any]:
    """What all heads are built with; the loss so that it does not warn."""
    loss = dict(type='CrossEntropyLoss', avg_non_ignore=True)
    return dict(num_classes=3, norm_cfg=_norm_cfg(head), loss_decode=loss)


def _norm_cfg(head: Tensors) -> dict[str, Any] | None:
    if any('.gn.' in name for name in head):
        return dict(type='GN', num_groups=1)
    # Convolutions have a bias where no norm follows.
    if any(name.endswith('.conv.bias') for name in head):
        return None
    return dict(type='BN')


def _count(tensors: Tensors, pattern: str) -> int:
    """One more than the highest number in names that begin so."""
    matches = (re.match(pattern, name) for name in tensors)
    return max((int(match[1]) + 1 for match in matches if match), default=0)
