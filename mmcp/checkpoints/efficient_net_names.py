"""Names of EfficientNet's tensors, from those of other projects to ours.

MMDetection, MMPreTrain and :class:`mmcp.EfficientNet` have the same names, in
which stages of one stride are one: ``layers.0`` is the stem, ``layers.1`` to
``layers.5`` are seven stages and ``layers.6`` is the last convolution.
"""

import math
import re
from collections.abc import Collection, Mapping

from torch import Size

# For each of the paper's seven stages the layer that holds it. Two layers
# hold two: the second has stride 1.
_LAYERS = (1, 2, 3, 4, 4, 5, 5)
# Blocks of B0's stages, and what B0 to B8 and L2 multiply them with.
_BLOCKS = (1, 2, 2, 3, 3, 4, 1)
_DEPTHS = (1.0, 1.1, 1.4, 1.8, 2.2, 2.6, 3.1, 3.6, 5.3)
# By channels and blocks of the layer of stride 16.
ARCHES = {
    (80, 6): 'b0',
    (80, 8): 'b1',
    (88, 8): 'b2',
    (96, 10): 'b3',
    (112, 12): 'b4',
    (128, 14): 'b5',
    (144, 16): 'b6',
    (160, 20): 'b7',
    (176, 22): 'b8',
}
_NARROW = 'layers.4.0.linear_conv.conv.weight'
_ENDS = {
    'conv_stem.': 'layers.0.conv.',
    'bn1.': 'layers.0.bn.',
    'conv_head.': 'layers.6.conv.',
    'bn2.': 'layers.6.bn.',
}
_TIMM_BLOCK = {
    'conv_pw.': 'expand_conv.conv.',
    'bn1.': 'expand_conv.bn.',
    'conv_dw.': 'depthwise_conv.conv.',
    'bn2.': 'depthwise_conv.bn.',
    'se.conv_reduce.': 'se.conv1.conv.',
    'se.conv_expand.': 'se.conv2.conv.',
    'conv_pwl.': 'linear_conv.conv.',
    'bn3.': 'linear_conv.bn.',
}
# The first stage does not expand.
_TIMM_FIRST = {
    'conv_dw.': 'depthwise_conv.conv.',
    'bn1.': 'depthwise_conv.bn.',
    'se.conv_reduce.': 'se.conv1.conv.',
    'se.conv_expand.': 'se.conv2.conv.',
    'conv_pw.': 'linear_conv.conv.',
    'bn2.': 'linear_conv.bn.',
}
_FLAT_ENDS = {
    '_conv_stem.': 'layers.0.conv.',
    '_bn0.': 'layers.0.bn.',
    '_conv_head.': 'layers.6.conv.',
    '_bn1.': 'layers.6.bn.',
}
_FLAT_BLOCK = {
    '_expand_conv.': 'expand_conv.conv.',
    '_bn0.': 'expand_conv.bn.',
    '_depthwise_conv.': 'depthwise_conv.conv.',
    '_bn1.': 'depthwise_conv.bn.',
    '_se_reduce.': 'se.conv1.conv.',
    '_se_expand.': 'se.conv2.conv.',
    '_project_conv.': 'linear_conv.conv.',
    '_bn2.': 'linear_conv.bn.',
}


def is_timm(names: Collection[str]) -> bool:
    """Whether names are those of an EfficientNet-B or -L of timm.

    Its EdgeTPU and Lite models, MobileNetV3 and others begin alike.

    Args:
        names: Names within the backbone.

    Returns:
        True if so.
    """
    return {
        'conv_stem.weight',
        'blocks.0.0.se.conv_reduce.weight',
        'blocks.6.0.conv_pwl.weight',
    } <= set(names)


def is_flat(names: Collection[str]) -> bool:
    """Whether names are those of EfficientNet-PyTorch (lukemelas).

    Args:
        names: Names within the backbone.

    Returns:
        True if so, and the number of blocks is that of a known model.
    """
    return '_conv_stem.weight' in names and _stages(names) is not None


def from_timm(names: Collection[str]) -> dict[str, str]:
    """Translates timm's names.

    Args:
        names: Names for which :func:`is_timm` is true.

    Returns:
        From each name to ours; unknown names stay.
    """
    counts = [
        len({n.split('.')[2] for n in names if n.startswith(f'blocks.{i}.')})
        for i in range(len(_LAYERS))
    ]
    return {name: _timm_name(name, counts) for name in names}


def from_flat(names: Collection[str]) -> dict[str, str]:
    """Translates the names of EfficientNet-PyTorch.

    It numbers the blocks of all stages in one row.

    Args:
        names: Names for which :func:`is_flat` is true.

    Returns:
        From each name to ours; unknown names stay.
    """
    counts = _stages(names) or []
    places = [
        (stage, block)
        for stage, count in enumerate(counts)
        for block in range(count)
    ]
    return {name: _flat_name(name, places, counts) for name in names}


def size_of(shapes: Mapping[str, Size]) -> tuple[int, int] | None:
    """What tells one EfficientNet from another.

    Args:
        shapes: Shapes of a backbone's tensors by our names.

    Returns:
        A key of ``ARCHES`` for one of MMDetection's models, the same of
        another one, or None if it is no EfficientNet.
    """
    if _NARROW not in shapes:
        return None
    blocks = {n.split('.')[2] for n in shapes if n.startswith('layers.4.')}
    return shapes[_NARROW][0], len(blocks)


def _timm_name(name: str, counts: list[int]) -> str:
    match = re.fullmatch(r'blocks\.(\d+)\.(\d+)\.(.*)', name)
    if match is None:
        return _replaced(name, _ENDS)
    stage, block, inner = int(match[1]), int(match[2]), match[3]
    table = _TIMM_FIRST if stage == 0 else _TIMM_BLOCK
    return _place(stage, block, counts) + _replaced(inner, table)


def _flat_name(
    name: str, places: list[tuple[int, int]], counts: list[int]
) -> str:
    match = re.fullmatch(r'_blocks\.(\d+)\.(.*)', name)
    if match is None:
        return _replaced(name, _FLAT_ENDS)
    stage, block = places[int(match[1])]
    return _place(stage, block, counts) + _replaced(match[2], _FLAT_BLOCK)


def _place(stage: int, block: int, counts: list[int]) -> str:
    """The beginning of a block's names, counted in its layer."""
    layer = _LAYERS[stage]
    before = sum(counts[i] for i in range(stage) if _LAYERS[i] == layer)
    return f'layers.{layer}.{before + block}.'


def _stages(names: Collection[str]) -> list[int] | None:
    """Blocks of each stage, by the number of all; None if unknown."""
    found = {
        int(match[1])
        for name in names
        if (match := re.match(r'_blocks\.(\d+)\.', name))
    }
    for depth in _DEPTHS:
        counts = [math.ceil(depth * count) for count in _BLOCKS]
        if found == set(range(sum(counts))):
            return counts
    return None


def _replaced(name: str, table: Mapping[str, str]) -> str:
    for start, ours in table.items():
        if name.startswith(start):
            return ours + name[len(start) :]
    return name
