"""Guesses why a checkpoint does not fit a model, and what to change."""

import re
from collections.abc import Callable, Iterable, Mapping

from mmcp.checkpoints.comparison import Comparison, Shapes
from mmcp.checkpoints.efficient_net_names import ARCHES, size_of

_Blocks = tuple[bool, tuple[int, ...]]

_DEPTHS: dict[_Blocks, int] = {
    (False, (2, 2, 2, 2)): 18,
    (False, (3, 4, 6, 3)): 34,
    (True, (3, 4, 6, 3)): 50,
    (True, (3, 4, 23, 3)): 101,
    (True, (3, 8, 36, 3)): 152,
}
_RESNET = re.compile(r'layer\d+\.\d+\.conv\d\.weight')
# A layer of MobileNetV2 in MMDetection (and MMPreTrain), MMSegmentation.
_DEPTHWISE = 'layer1.0.depthwise_conv.conv.weight'
_INVERTED = 'layer1.0.conv.0.conv.weight'
_VIT = 'patch_embed.projection.weight'
_PATCH_BIAS = 'patch_embed.projection.bias'


def likely_causes(comparison: Comparison) -> list[str]:
    """Says what probably differs between the file's model and this one.

    Args:
        comparison: What does not fit.

    Returns:
        Sentences that say what to change; empty if nothing is recognised.
    """
    if comparison.fits:
        return []
    for rule in _RULES.get(comparison.part, _BACKBONE_RULES):
        cause = rule(comparison.held, comparison.needed)
        if cause:
            return [cause]
    return []


def _incomplete(held: Shapes, needed: Shapes) -> str | None:
    """Of a file that fits as far as it goes, and holds no smaller model."""
    missing = needed.keys() - held.keys()
    final_norm = {name for name in needed if name.startswith('ln1.')}
    statistics = {name for name in needed if '.running_' in name}
    if (
        not missing
        or not _is_within(held, needed)
        or missing in ({_PATCH_BIAS}, final_norm, statistics)
        or _is_smaller(held, needed)
    ):
        return None
    return (
        f'the file is incomplete: {len(missing)} of the {len(needed)} tensors '
        'are not in it, and all others fit. It was cut short, or saved from '
        'a part of a model; take the whole file'
    )


def _is_within(held: Shapes, needed: Shapes) -> bool:
    return held.items() <= needed.items()


def _is_smaller(held: Shapes, needed: Shapes) -> bool:
    """Whether a file holds a whole model with less blocks or layers."""
    for count, known in ((_blocks, _DEPTHS), (size_of, ARCHES)):
        if count(held) in known and count(held) != count(needed):
            return True
    layers = _num_layers(held)
    numbers = (
        re.match(r'layers\.(\d+)\.', name) for name in needed.keys() - held
    )
    return layers > 0 and all(n and int(n[1]) >= layers for n in numbers)


def _longer_prefix(held: Shapes, needed: Shapes) -> str | None:
    roots = {name.split('.', 1)[0] for name in held}
    first = next(iter(roots), '')
    inner = {name.removeprefix(f'{first}.') for name in held}
    if len(roots) > 1 or not inner & needed.keys():
        return None
    return (
        f"the names of the file's backbone go on with '{first}.'; give as "
        f"prefix=... all that they begin with, up to this '{first}.'"
    )


def _other_family(held: Shapes, needed: Shapes) -> str | None:
    kinds = [_family(held), _family(needed)]
    if kinds[0] == kinds[1]:
        return None
    return (
        f"the file's backbone is {kinds[0]}, the model's {kinds[1]}; "
        'change the type of the backbone'
    )


def _family(shapes: Shapes) -> str:
    if _VIT in shapes:
        return 'a vision transformer'
    if size_of(shapes) is not None:
        return 'an EfficientNet'
    if any(_RESNET.fullmatch(name) for name in shapes):
        return 'a ResNet'
    roots = sorted({name.split('.', 1)[0] for name in shapes})
    return f'a network of {", ".join(roots[:4])}'


def _other_library(held: Shapes, needed: Shapes) -> str | None:
    theirs, ours = (
        'MMDetection' if _DEPTHWISE in shapes else 'MMSegmentation'
        for shapes in (held, needed)
    )
    if theirs == ours or _INVERTED not in {**held, **needed}:
        return None
    return (
        f'layers of MobileNetV2 have the names of {theirs} in the file and '
        f'those of {ours} in the model; take the file for {ours}'
    )


def _other_stem(held: Shapes, needed: Shapes) -> str | None:
    theirs, ours = _stem(held), _stem(needed)
    if None in (theirs, ours) or theirs == ours:
        return None
    advice = {
        'one 7x7 convolution': "type='ResNet' with deep_stem=False",
        'three 3x3 convolutions': "type='ResNetV1c' or deep_stem=True",
    }
    change = advice.get(str(theirs), "a checkpoint with the model's stem")
    return (
        f"the file's stem is {theirs}, the model's {ours} (DenseCL issue 3); "
        f'use {change}'
    )


def _stem(shapes: Shapes) -> str | None:
    if 'stem.0.weight' in shapes:
        return 'three 3x3 convolutions'
    if 'conv1.0.weight' in shapes:
        return "three 3x3 convolutions by timm's names"
    if 'conv1.weight' in shapes:
        return 'one 7x7 convolution'
    return None


def _other_depth(held: Shapes, needed: Shapes) -> str | None:
    theirs, ours = _blocks(held), _blocks(needed)
    stages = min(len(theirs[1]), len(ours[1]))
    if not stages or (theirs[0], theirs[1][:stages]) == (
        ours[0],
        ours[1][:stages],
    ):
        return None
    depth = _DEPTHS.get(theirs)
    change = f'set depth={depth}' if depth else 'change depth'
    return (
        f"the file's is {_described(theirs)}, the model's {_described(ours)}; "
        f'{change}'
    )


def _blocks(shapes: Shapes) -> _Blocks:
    """Whether blocks are bottlenecks, and their number in each stage."""
    found = {
        (int(match[1]), int(match[2]))
        for name in shapes
        if (match := re.match(r'layer(\d+)\.(\d+)\.', name))
    }
    stages = sorted({stage for stage, _ in found})
    counts = tuple(sum(s == stage for s, _ in found) for stage in stages)
    return 'layer1.0.conv3.weight' in shapes, counts


def _described(blocks: _Blocks) -> str:
    kind = 'bottleneck' if blocks[0] else 'basic'
    known = f' (ResNet-{_DEPTHS[blocks]})' if blocks in _DEPTHS else ''
    return f'of {", ".join(map(str, blocks[1]))} {kind} blocks{known}'


def _other_layers(held: Shapes, needed: Shapes) -> str | None:
    theirs, ours = _num_layers(held), _num_layers(needed)
    if theirs == ours:
        return None
    return (
        f"the file's transformer has {theirs} layers, the model's {ours}; set "
        f'num_layers={theirs}'
    )


def _num_layers(shapes: Shapes) -> int:
    found = {
        int(match[1])
        for name in shapes
        if (match := re.match(r'layers\.(\d+)\.attn\.', name))
    }
    return len(found)


def _other_transformer(held: Shapes, needed: Shapes) -> str | None:
    if _VIT not in held or _VIT not in needed:
        return None
    theirs, ours = held[_VIT], needed[_VIT]
    if theirs[0] != ours[0]:
        return (
            f"the file's transformer has {theirs[0]} channels, the model's "
            f'{ours[0]}; set embed_dims={theirs[0]}'
        )
    if theirs[2:] != ours[2:]:
        return (
            f"the file's patches are of {theirs[2]} pixels, the model's of "
            f'{ours[2]}; set patch_size={theirs[2]}'
        )
    if (_PATCH_BIAS in held) != (_PATCH_BIAS in needed):
        return (
            'only one of the two has a bias where patches are embedded; set '
            f'patch_bias={_PATCH_BIAS in held}'
        )
    if 'ln1.weight' in needed and 'ln1.weight' not in held:
        return 'the file has no final norm; set final_norm=False'
    return None


def _other_efficient_net(held: Shapes, needed: Shapes) -> str | None:
    theirs, ours = size_of(held), size_of(needed)
    if theirs is None or ours is None or theirs == ours:
        return None
    arch = ARCHES.get(theirs)
    return (
        f"the file's EfficientNet has {theirs[1]} blocks and {theirs[0]} "
        f"channels at stride 16, the model's {ours[1]} and {ours[0]}; "
        + (f"set arch='{arch}'" if arch else 'change arch')
    )


def _other_norm(held: Shapes, needed: Shapes) -> str | None:
    theirs, ours = (
        any(name.endswith('running_mean') for name in shapes)
        for shapes in (held, needed)
    )
    if theirs == ours:
        return None
    kinds = {True: 'batch normalisation', False: 'another normalisation'}
    return (
        f'the file was trained with {kinds[theirs]} (it has '
        f'{"" if theirs else "no "}running statistics), the model has '
        f'{kinds[ours]}; change norm_cfg'
    )


def _other_width(held: Shapes, needed: Shapes) -> str | None:
    for name in ('conv1.weight', 'stem.0.weight', 'layer1.0.conv1.weight'):
        if name in held and name in needed and held[name] != needed[name]:
            return (
                f'the convolution {name} has {held[name][0]} channels in the '
                f'file and {needed[name][0]} in the model; change '
                'stem_channels, base_channels or in_channels'
            )
    return None


def _other_head(held: Shapes, needed: Shapes) -> str | None:
    theirs, ours = _head_kind(held), _head_kind(needed)
    unknown = theirs.startswith('one of ')
    if theirs == ours or (unknown and _is_within(held, needed)):
        return None
    return (
        f"the file's decode head is {theirs}, the model's {ours}; change the "
        "head, or load part='backbone'"
    )


def _head_kind(shapes: Shapes) -> str:
    roots = {name.split('.', 1)[0] for name in shapes}
    for marks, kind in (
        ({'aspp_modules', 'image_pool'}, 'an ASPPHead'),
        ({'psp_modules', 'fpn_convs'}, 'a UPerHead'),
        ({'psp_modules'}, 'a PSPHead'),
        ({'convs', 'conv_cat'}, 'an FCNHead with concat_input=True'),
        ({'convs'}, 'an FCNHead'),
    ):
        if marks <= roots:
            return kind
    return f'one of {", ".join(sorted(roots)) or "no tensors"}'


def _other_convolutions(held: Shapes, needed: Shapes) -> str | None:
    for name in needed:
        if name in held and held[name] != needed[name]:
            return (
                f'{name} is {tuple(held[name])} in the file and '
                f'{tuple(needed[name])} in the model; make channels and '
                'in_channels of the head those of the pretraining, or load '
                "part='backbone'"
            )
    counts = [
        len({n.split('.')[1] for n in s if re.match(r'\w+\.\d+\.', n)})
        for s in (held, needed)
    ]
    if counts[0] != counts[1]:
        return (
            f'the head in the file has {counts[0]} branches or layers of a '
            f"kind, the model's {counts[1]}; make dilations or num_convs of "
            "the head those of the pretraining, or load part='backbone'"
        )
    return None


def _other_neck(held: Shapes, needed: Shapes) -> str | None:
    theirs, ours = _neck_kind(held), _neck_kind(needed)
    if theirs == ours:
        return None
    return (
        f"the file's neck is {theirs}, the model's {ours}; change the type of "
        "the neck to that of the file's model, or load part='backbone'"
    )


def _neck_kind(shapes: Shapes) -> str:
    roots = {name.split('.', 1)[0] for name in shapes}
    if {'lateral_convs', 'fpn_convs'} <= roots:
        return 'an FPN'
    return f'one of {", ".join(sorted(roots)) or "no tensors"}'


def _other_neck_size(held: Shapes, needed: Shapes) -> str | None:
    for name in needed:
        if name in held and held[name] != needed[name]:
            return (
                f'{name} is {tuple(held[name])} in the file and '
                f'{tuple(needed[name])} in the model; make in_channels and '
                "out_channels of the neck those of the file's model"
            )
    return (
        "the neck's levels or repetitions differ; make num_outs, "
        "add_extra_convs or stack_times those of the file's model"
    )


_Rule = Callable[[Shapes, Shapes], str | None]
_BACKBONE_RULES: Iterable[_Rule] = (
    _incomplete,
    _longer_prefix,
    _other_library,
    _other_stem,
    _other_family,
    _other_depth,
    _other_transformer,
    _other_layers,
    _other_efficient_net,
    _other_norm,
    _other_width,
)
_RULES: Mapping[str, Iterable[_Rule]] = {
    'neck': (_other_neck, _other_norm, _other_neck_size),
    'head': (_other_head, _other_convolutions, _incomplete, _other_norm),
}
