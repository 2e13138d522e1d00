"""EfficientNet's forward pass from a file's own names.

As :mod:`conversion.reference`: nothing here knows how names are translated.
Convolutions are padded as TensorFlow's, and the ``eps`` of norms is 1e-3: so
were the published weights trained (timm's names that begin with ``tf_``).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

Lookup = Callable[[str], Tensor]
Names = set[str]

_EPSILON = 1e-3


@dataclass(frozen=True)
class Naming:
    """How a project names the tensors of an EfficientNet.

    Attributes:
        stem: Convolution and norm before the blocks.
        block: Pattern of what a block's names begin with.
        expand: Convolution and norm that widen.
        depthwise: Convolution and norm of each channel.
        squeeze: The two convolutions of squeeze and excitation.
        project: Convolution and norm that narrow.
    """

    stem: tuple[str, str]
    block: re.Pattern[str]
    expand: tuple[str, str]
    depthwise: tuple[str, str]
    squeeze: tuple[str, str]
    project: tuple[str, str]


_TIMM_SQUEEZE = ('se.conv_reduce', 'se.conv_expand')
_TIMM = Naming(
    stem=('conv_stem', 'bn1'),
    block=re.compile(r'blocks\.\d+\.\d+\.'),
    expand=('conv_pw', 'bn1'),
    depthwise=('conv_dw', 'bn2'),
    squeeze=_TIMM_SQUEEZE,
    project=('conv_pwl', 'bn3'),
)
# timm's blocks that do not expand.
_TIMM_PLAIN = Naming(
    stem=_TIMM.stem,
    block=_TIMM.block,
    expand=('', ''),
    depthwise=('conv_dw', 'bn1'),
    squeeze=_TIMM_SQUEEZE,
    project=('conv_pw', 'bn2'),
)
_FLAT = Naming(
    stem=('_conv_stem', '_bn0'),
    block=re.compile(r'_blocks\.\d+\.'),
    expand=('_expand_conv', '_bn0'),
    depthwise=('_depthwise_conv', '_bn1'),
    squeeze=('_se_reduce', '_se_expand'),
    project=('_project_conv', '_bn2'),
)
_OPENMMLAB = Naming(
    stem=('layers.0.conv', 'layers.0.bn'),
    block=re.compile(r'layers\.\d+\.\d+\.'),
    expand=('expand_conv.conv', 'expand_conv.bn'),
    depthwise=('depthwise_conv.conv', 'depthwise_conv.bn'),
    squeeze=('se.conv1.conv', 'se.conv2.conv'),
    project=('linear_conv.conv', 'linear_conv.bn'),
)


def naming_of(names: Names) -> Naming | None:
    """Tells whose names these are.

    Args:
        names: Names within a backbone.

    Returns:
        The naming; None if it is no EfficientNet.
    """
    for naming in (_TIMM, _FLAT, _OPENMMLAB):
        blocks = _blocks(names, naming)
        if blocks and f'{naming.stem[0]}.weight' in names:
            last = f'{blocks[-1]}{naming.project[0]}.weight'
            return naming if last in names else None
    return None


def efficient_net_features(
    get: Lookup, names: Names, images: Tensor
) -> list[Tensor]:
    """Features of an EfficientNet-B.

    Args:
        get: Finds a tensor by the file's name.
        names: The names there are.
        images: Shape (N, 3, H, W).

    Returns:
        The last map of each stride, 2 to 32, shapes (N, C, h, w).

    Raises:
        ValueError: If the names are of no EfficientNet.
    """
    naming = naming_of(names)
    if naming is None:
        raise ValueError('these are no names of an EfficientNet')
    maps = _convolve(get, naming.stem, images, stride=2)
    maps = F.silu(maps)
    results: list[Tensor] = []
    width = 0
    changes = 0
    for prefix in _blocks(names, naming):
        plain = f'{prefix}conv_pwl.weight' not in names
        parts = _TIMM_PLAIN if naming is _TIMM and plain else naming
        after = get(f'{prefix}{parts.project[0]}.weight').shape[0]
        # A stage begins where the width changes; the fifth and the seventh
        # have the size of the one before.
        first, width = after != width, after
        changes += first
        stride = 2 if first and changes in (2, 3, 4, 6) else 1
        if stride == 2:
            results.append(maps)
        maps = _block(get, names, parts, prefix, maps, stride)
    return [*results, maps]


def _blocks(names: Names, naming: Naming) -> list[str]:
    """What the names of each block begin with, in order."""
    found = {match[0] for name in names if (match := naming.block.match(name))}
    return sorted(found, key=lambda p: [int(n) for n in re.findall(r'\d+', p)])


def _block(
    get: Lookup,
    names: Names,
    parts: Naming,
    prefix: str,
    maps: Tensor,
    stride: int,
) -> Tensor:
    def named(pair: tuple[str, str]) -> tuple[str, str]:
        return prefix + pair[0], prefix + pair[1]

    inner = maps
    expand = named(parts.expand)
    if parts.expand[0] and f'{expand[0]}.weight' in names:
        inner = F.silu(_convolve(get, expand, inner))
    inner = F.silu(_convolve(get, named(parts.depthwise), inner, stride))
    reduce, excite = named(parts.squeeze)
    gates = F.conv2d(
        inner.mean((2, 3), keepdim=True),
        get(f'{reduce}.weight'),
        get(f'{reduce}.bias'),
    )
    gates = F.conv2d(
        F.silu(gates), get(f'{excite}.weight'), get(f'{excite}.bias')
    )
    inner = _convolve(get, named(parts.project), inner * gates.sigmoid())
    return inner + maps if inner.shape == maps.shape else inner


def _convolve(
    get: Lookup, names: tuple[str, str], maps: Tensor, stride: int = 1
) -> Tensor:
    """A convolution padded as TensorFlow's "same", and a norm."""
    kernel = get(f'{names[0]}.weight')
    pads: list[int] = []
    for length, side in zip(
        reversed(maps.shape[2:]), reversed(kernel.shape[2:]), strict=True
    ):
        needed = max((-(-length // stride) - 1) * stride + side - length, 0)
        pads += [needed // 2, needed - needed // 2]
    maps = F.conv2d(
        F.pad(maps, pads),
        kernel,
        stride=stride,
        groups=maps.shape[1] // kernel.shape[1],
    )
    norm = names[1]
    return F.batch_norm(
        maps,
        get(f'{norm}.running_mean'),
        get(f'{norm}.running_var'),
        get(f'{norm}.weight'),
        get(f'{norm}.bias'),
        eps=_EPSILON,
    )
