"""EfficientNets by the names of every project, and what it computes.

The table, the names and the forward pass are written out here and do not
come from the code under test.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

# Kernel, blocks, channels, expansion and stride of the paper's stages.
STAGES = (
    (3, 1, 16, 1, 1),
    (3, 2, 24, 6, 2),
    (5, 2, 40, 6, 2),
    (3, 3, 80, 6, 2),
    (5, 3, 112, 6, 1),
    (5, 4, 192, 6, 2),
    (3, 1, 320, 6, 1),
)
KEYS = ('weight', 'bias', 'running_mean', 'running_var')


@dataclass
class Block:
    """A block: place, stride, and tensors by role."""

    stage: int
    number: int
    stride: int
    tensors: dict


@dataclass
class Model:
    """All tensors by role, and the blocks in order."""

    ends: dict
    blocks: list


def rounded(channels):
    """To a multiple of 8, not more than a tenth below."""
    down = int(channels + 4) // 8 * 8
    return down if down >= 0.9 * channels else down + 8


def make_model(width=1.0, depth=1.0, device='cpu'):
    """Random weights of the usual scale; B7 has width 2 and depth 3.1."""
    with torch.device(device):
        return _make_model(width, depth)


def _make_model(width, depth):
    torch.manual_seed(0)

    def convolution(outputs, inputs, side):
        scale = (1 / (inputs * side * side)) ** 0.5
        return scale * torch.randn(outputs, inputs, side, side)

    def norm(channels):
        values = torch.rand(4, channels) + 0.5
        values[1] -= 1
        values[2] -= 1
        return dict(zip(KEYS, values, strict=True))

    def excite(outputs, inputs):
        return dict(
            weight=convolution(outputs, inputs, 1),
            bias=torch.rand(outputs),
        )

    inputs = rounded(32 * width)
    ends = dict(stem=convolution(inputs, 3, 3), stem_norm=norm(inputs))
    blocks = []
    for stage, (side, count, outputs, expansion, stride) in enumerate(STAGES):
        outputs = rounded(outputs * width)
        for number in range(math.ceil(count * depth)):
            wide = inputs * expansion
            tensors = {}
            if expansion > 1:
                tensors['expand'] = convolution(wide, inputs, 1)
                tensors['expand_norm'] = norm(wide)
            tensors['depthwise'] = convolution(wide, 1, side)
            tensors['depthwise_norm'] = norm(wide)
            tensors['squeeze'] = excite(inputs // 4, wide)
            tensors['excite'] = excite(wide, inputs // 4)
            tensors['project'] = convolution(outputs, wide, 1)
            tensors['project_norm'] = norm(outputs)
            step = stride if number == 0 else 1
            blocks.append(Block(stage, number, step, tensors))
            inputs = outputs
    last = rounded(1280 * width)
    ends['head'] = convolution(last, inputs, 1)
    ends['head_norm'] = norm(last)
    ends['classifier'] = dict(
        weight=torch.zeros(1000, last), bias=torch.zeros(1000)
    )
    return Model(ends, blocks)


def features(model, images, same=True, eps=1e-3):
    """The last map of each stride from 2 to 32.

    ``same``: padded as TensorFlow's, otherwise alike on both sides.
    """

    def convolve(maps, kernel, norm, stride=1, groups=1):
        pads = []
        for length, side in zip(maps.shape[2:], kernel.shape[2:], strict=True):
            steps = (length + stride - 1) // stride
            total = max(0, (steps - 1) * stride + side - length)
            first = total // 2 if same else side // 2
            last = total - first if same else side // 2
            pads = [first, last, *pads]
        maps = F.conv2d(F.pad(maps, pads), kernel, None, stride, groups=groups)
        shape = (1, -1, 1, 1)
        scale = norm['weight'] / torch.sqrt(norm['running_var'] + eps)
        shift = norm['bias'] - norm['running_mean'] * scale
        return maps * scale.view(shape) + shift.view(shape)

    def swish(maps):
        return maps * torch.sigmoid(maps)

    ends = model.ends
    maps = swish(convolve(images, ends['stem'], ends['stem_norm'], 2))
    results = []
    for block in model.blocks:
        if block.stride == 2:
            results.append(maps)
        parts, inner = block.tensors, maps
        if 'expand' in parts:
            inner = convolve(inner, parts['expand'], parts['expand_norm'])
            inner = swish(inner)
        inner = swish(
            convolve(
                inner,
                parts['depthwise'],
                parts['depthwise_norm'],
                block.stride,
                groups=inner.shape[1],
            )
        )
        gate = inner.mean((2, 3), keepdim=True)
        gate = swish(F.conv2d(gate, **parts['squeeze']))
        gate = torch.sigmoid(F.conv2d(gate, **parts['excite']))
        inner = convolve(inner * gate, parts['project'], parts['project_norm'])
        if block.number > 0:
            inner = inner + maps
        maps = inner
    return [*results, maps]


def timm(model):
    """A state dict of timm's ``tf_efficientnet_b0_ns`` and others."""
    ends = model.ends
    state = {'conv_stem.weight': ends['stem']}
    state |= _norm('bn1', ends['stem_norm'])
    for block in model.blocks:
        start = f'blocks.{block.stage}.{block.number}'
        parts = block.tensors
        if block.stage == 0:
            order = [('conv_dw', 'bn1', 'depthwise')]
            order += [('conv_pw', 'bn2', 'project')]
        else:
            order = [('conv_pw', 'bn1', 'expand')]
            order += [('conv_dw', 'bn2', 'depthwise')]
            order += [('conv_pwl', 'bn3', 'project')]
        for conv, norm, role in order:
            state[f'{start}.{conv}.weight'] = parts[role]
            state |= _norm(f'{start}.{norm}', parts[f'{role}_norm'])
        state |= _pair(f'{start}.se.conv_reduce', parts['squeeze'])
        state |= _pair(f'{start}.se.conv_expand', parts['excite'])
    state['conv_head.weight'] = ends['head']
    state |= _norm('bn2', ends['head_norm'])
    return state | _pair('classifier', ends['classifier'])


def flat(model):
    """A state dict of EfficientNet-PyTorch."""
    ends = model.ends
    state = {'_conv_stem.weight': ends['stem']}
    state |= _norm('_bn0', ends['stem_norm'])
    for index, block in enumerate(model.blocks):
        start = f'_blocks.{index}'
        parts = block.tensors
        for conv, norm, role in (
            ('_expand_conv', '_bn0', 'expand'),
            ('_depthwise_conv', '_bn1', 'depthwise'),
            ('_project_conv', '_bn2', 'project'),
        ):
            if role in parts:
                state[f'{start}.{conv}.weight'] = parts[role]
                state |= _norm(f'{start}.{norm}', parts[f'{role}_norm'])
        state |= _pair(f'{start}._se_reduce', parts['squeeze'])
        state |= _pair(f'{start}._se_expand', parts['excite'])
    state['_conv_head.weight'] = ends['head']
    state |= _norm('_bn1', ends['head_norm'])
    return state | _pair('_fc', ends['classifier'])


def mmdet(model):
    """MMDetection's and MMPreTrain's backbone, without prefix."""
    ends = model.ends
    state = {'layers.0.conv.weight': ends['stem']}
    state |= _norm('layers.0.bn', ends['stem_norm'])
    # Stages of stride 1 are part of the layer before.
    counts = [sum(b.stage == i for b in model.blocks) for i in range(7)]
    starts = {0: (1, 0), 1: (2, 0), 2: (3, 0), 3: (4, 0), 4: (4, counts[3])}
    starts |= {5: (5, 0), 6: (5, counts[5])}
    for block in model.blocks:
        layer, first = starts[block.stage]
        start = f'layers.{layer}.{first + block.number}'
        parts = block.tensors
        for name, role in (
            ('expand_conv', 'expand'),
            ('depthwise_conv', 'depthwise'),
            ('linear_conv', 'project'),
        ):
            if role in parts:
                state[f'{start}.{name}.conv.weight'] = parts[role]
                state |= _norm(f'{start}.{name}.bn', parts[f'{role}_norm'])
        state |= _pair(f'{start}.se.conv1.conv', parts['squeeze'])
        state |= _pair(f'{start}.se.conv2.conv', parts['excite'])
    state['layers.6.conv.weight'] = ends['head']
    return state | _norm('layers.6.bn', ends['head_norm'])


def mmpretrain(model):
    """A checkpoint of MMPreTrain's classifier."""
    state = {f'backbone.{n}': v for n, v in mmdet(model).items()}
    state |= _pair('head.fc', model.ends['classifier'])
    return dict(meta={}, state_dict=state)


def _norm(name, tensors):
    state = {f'{name}.{key}': tensors[key] for key in KEYS}
    return state | {f'{name}.num_batches_tracked': torch.tensor(5)}


def _pair(name, tensors):
    return {f'{name}.{key}': value for key, value in tensors.items()}
