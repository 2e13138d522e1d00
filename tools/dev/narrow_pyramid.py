"""Models with a feature pyramid, made narrow."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

# What the pyramid keeps; all other channels are divided by the same number.
_PYRAMID_CHANNELS = 32
_CHANNEL_KEYS = {
    'in_channels',
    'out_channels',
    'feat_channels',
    'conv_out_channels',
    'fc_out_channels',
}
# EfficientNet-B0's stages; its channels cannot be divided.
_B0_CHANNELS = (32, 16, 24, 40, 112, 320)


def narrow_pyramid(model: dict[str, Any], heads: Iterable[str]) -> None:
    """Divides all channels, where the backbone's can follow.

    Args:
        model: Config of a model with backbone and neck, changed in place.
        heads: Which of its parts take the maps of the neck.
    """
    backbone = model['backbone']
    factor = model['neck']['out_channels'] // _PYRAMID_CHANNELS
    kind = backbone['type'].rpartition('.')[2]
    if factor <= 1 or kind not in ('ResNet', 'EfficientNet'):
        return
    for part in ('neck', *heads):
        for node in _dicts(model[part]):
            for key in _CHANNEL_KEYS & node.keys():
                node[key] = map_ints(node[key], lambda c: c // factor)
    if kind == 'ResNet':
        backbone['base_channels'] = backbone.get('base_channels', 64) // factor
    else:
        backbone['arch'] = 'b0'
        stages = backbone['out_indices']
        model['neck']['in_channels'] = [_B0_CHANNELS[i] for i in stages]


def map_ints(value: Any, function: Callable[[int], int]) -> Any:
    """Changes a number, or all of a sequence.

    Args:
        value: The number or the sequence.
        function: What is done to a number.

    Returns:
        As ``value``.
    """
    if isinstance(value, int):
        return function(value)
    return type(value)(function(v) for v in value)


def _dicts(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from _dicts(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _dicts(value)
