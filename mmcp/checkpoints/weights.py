"""Sorts the weights of any known checkpoint by parts, under our names."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from mmcp.checkpoints.backbone_names import (
    is_tail,
    is_transformer,
    translate,
)
from mmcp.checkpoints.config_text import config_of, look_up
from mmcp.checkpoints.layouts import (
    HEAD_ROOTS,
    Layout,
    LayoutError,
    detect_layout,
    plain_name,
)
from mmcp.checkpoints.loading import load_safely
from mmcp.checkpoints.positions import is_fixed_sine

CLASSIFIER = 'conv_seg'
# DINO's full checkpoints hold a student too; its features are worse.
_PLACES = ('teacher', 'state_dict', 'model')
# Nearly all transformers have 64 channels a head; ViT-H, ViT-g and ViT-G of
# timm's (also MAE's) have not, nor has MoCo v3's ViT-S.
_CHANNELS_PER_HEAD = 64
_USUAL_HEADS = {1280: 16, 1408: 16, 1664: 16}
_MOCO_V3_HEADS = {384: 12}
_REASONS = (
    (
        r'(.*\.)?(encoder_k|momentum_encoder|(backbone|neck|roi_head|projector'
        r'|projector_instance)_k|target_net)\..*',
        'momentum encoder',
    ),
    (r'queue.*', 'queue'),
    (rf'(.*\.)?{CLASSIFIER}\..*', 'classifier'),
)
_OTHER = 'not of the parts that are used'


@dataclass(frozen=True)
class ModelWeights:
    """Weights of a checkpoint by part, under this project's names.

    Attributes:
        source: What errors call the file.
        layout: The layout of the file.
        backbone: By the names of MMSegmentation's backbones.
        neck: By the names of its neck.
        head: By the names of MMSegmentation's decode heads, without the
            classifier.
        projector: By the names of :class:`mmcp.models.selfsup.Projector`.
        origin: From our names of the backbone's tensors to the file's.
        dropped: Why a tensor of the file is in none of the parts, by the
            file's names.
        num_heads: Attention heads of a transformer's layers; None for other
            backbones, and where neither the file nor what is usual tells.
            Tensors have the same shape for any number.
    """

    source: str
    layout: Layout
    backbone: dict[str, Tensor]
    neck: dict[str, Tensor]
    head: dict[str, Tensor]
    projector: dict[str, Tensor]
    origin: dict[str, str]
    dropped: dict[str, str]
    num_heads: int | None

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors of one part.

        Args:
            name: ``'backbone'``, ``'neck'``, ``'head'`` or ``'projector'``.

        Returns:
            Tensors by our names.
        """
        parts: dict[str, Tensor] = getattr(self, name)
        return parts


def read_weights(
    checkpoint: str | Path,
    *,
    prefix: str | None = None,
    num_heads: int | None = None,
    trust: bool | None = None,
) -> ModelWeights:
    """Reads the weights of a checkpoint in any known layout.

    Args:
        checkpoint: Path, or address in a scheme that mmengine knows.
        prefix: What the backbone's names begin with in a file of no known
            layout. Defaults to None.
        num_heads: Attention heads of the transformer in the file, where the
            file is wrong about it. Defaults to None.
        trust: Whether the file may run code. Defaults to None, as
            :func:`use_safe_reader` was told, or else not.

    Returns:
        The weights.

    Raises:
        FileNotFoundError: If there is no such file.
        CheckpointError: If it is unsafe, broken or of no known layout.
    """
    content = load_safely(str(checkpoint), trust=trust)
    return sort_weights(
        content, str(checkpoint), prefix=prefix, num_heads=num_heads
    )


def sort_weights(
    checkpoint: Mapping[str, Any],
    source: str,
    *,
    prefix: str | None = None,
    num_heads: int | None = None,
) -> ModelWeights:
    """Sorts what a checkpoint holds.

    Args:
        checkpoint: What the file holds.
        source: What errors call the file.
        prefix: As for :func:`read_weights`. Defaults to None.
        num_heads: As for :func:`read_weights`. Defaults to None.

    Returns:
        The weights; tensors are those of the file.

    Raises:
        LayoutError: If the layout is not known.
    """
    tensors, names = plain_tensors(checkpoint, source)
    if prefix is not None:
        layout = _under_prefix(tensors, prefix, source)
    else:
        layout = detect_layout(tensors.keys(), source)
    parts: dict[str, dict[str, str]] = {
        part: {} for part in ('backbone', 'neck', 'head', 'projector')
    }
    for name in tensors:
        part, ours = _place(name, layout)
        if part is not None:
            parts[part][ours] = name
    parts['backbone'] = _translated(parts['backbone'])
    if set(parts['projector']) != _PROJECTOR:
        parts['projector'] = {}
    used = {name for group in parts.values() for name in group.values()}
    found = {
        part: {ours: tensors[name] for ours, name in group.items()}
        for part, group in parts.items()
    }
    found['projector'] = _as_convolutions(found['projector'])
    return ModelWeights(
        source=source,
        layout=layout,
        **found,
        origin={ours: names[n] for ours, n in parts['backbone'].items()},
        dropped={names[n]: _reason(n) for n in tensors if n not in used},
        num_heads=_num_heads(checkpoint, layout, found['backbone'], num_heads),
    )


_PROJECTOR = {
    f'{layer}.{kind}'
    for layer in ('hidden', 'output')
    for kind in ('weight', 'bias')
}


def state_dict_of(checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    """Finds the tensors in what a checkpoint file holds.

    Args:
        checkpoint: What the file holds.

    Returns:
        The teacher of DINO, or what is at ``state_dict`` or ``model``, or
        else the checkpoint itself.
    """
    for place in _PLACES:
        inner = checkpoint.get(place)
        if isinstance(inner, Mapping):
            return inner
    return checkpoint


def plain_tensors(
    checkpoint: Mapping[str, Any], source: str
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Finds the tensors of a checkpoint, and takes wrappers off their names.

    Args:
        checkpoint: What the file holds.
        source: What errors call the file.

    Returns:
        - The tensors by names without ``module.`` and ``_orig_mod.``.
        - From these names to those in the file.

    Raises:
        LayoutError: If there are none, or two models.
    """
    tensors: dict[str, Tensor] = {}
    names: dict[str, str] = {}
    for name, value in state_dict_of(checkpoint).items():
        if not isinstance(value, Tensor):
            continue
        plain = plain_name(str(name))
        if plain in tensors:
            raise LayoutError(
                f"{source} holds both '{names[plain]}' and '{name}', which "
                'are the same but for what wraps a model (module., '
                '_orig_mod.): it holds two models. Keep one of them.'
            )
        tensors[plain], names[plain] = value, str(name)
    if not tensors:
        raise LayoutError(
            f'{source} holds no weights: there are no tensors at the top nor '
            f'at {", ".join(_PLACES)}.'
        )
    return tensors, names


def _under_prefix(
    tensors: Mapping[str, Tensor], prefix: str, source: str
) -> Layout:
    start = plain_name(prefix.removesuffix('.'))
    start = f'{start}.' if start else ''
    if not any(name.startswith(start) for name in tensors):
        detected = detect_layout(tensors.keys(), source)
        raise LayoutError(
            f"{source} has no names that begin with '{prefix}'. Without "
            f'prefix=... it would be read as {detected.title}.'
        )
    return Layout('prefix', f"names under '{prefix}'", (), backbone=start)


def _place(name: str, layout: Layout) -> tuple[str | None, str]:
    """The part a tensor belongs to, and its name there."""
    for start, ours in layout.projector.items():
        if name.startswith(start):
            return 'projector', ours + name[len(start) :]
    head = layout.head
    if head is not None and name.startswith(head):
        inner = name[len(head) :]
        if CLASSIFIER in inner.split('.'):
            return None, inner
        if head or inner.split('.', 1)[0] in HEAD_ROOTS:
            return 'head', inner
    if layout.neck is not None and name.startswith(layout.neck):
        return 'neck', name[len(layout.neck) :]
    for start in (layout.backbone, *layout.further):
        if name.startswith(start):
            inner = name[len(start) :]
            return (None if is_tail(inner) else 'backbone'), inner
    return None, name


def _translated(backbone: Mapping[str, str]) -> dict[str, str]:
    new = translate(backbone.keys())
    return {new[ours]: name for ours, name in backbone.items()}


def _as_convolutions(projector: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Gives fully connected layers the shape of 1x1 convolutions."""
    return {
        name: value[..., None, None] if value.ndim == 2 else value
        for name, value in projector.items()
    }


def _reason(name: str) -> str:
    for pattern, reason in _REASONS:
        if re.fullmatch(pattern, name):
            return reason
    return _OTHER


def _num_heads(
    checkpoint: Mapping[str, Any],
    layout: Layout,
    backbone: Mapping[str, Tensor],
    given: int | None,
) -> int | None:
    """Attention heads: as given, as noted in the file, or as is usual."""
    if not is_transformer(backbone.keys()):
        return None
    meta = checkpoint.get('meta')
    noted = look_up(meta, 'mmcp', 'num_heads')
    backbone_cfg = look_up(config_of(checkpoint), 'model', 'backbone')
    configured = look_up(backbone_cfg, 'num_heads')
    for number in (given, noted, configured):
        if isinstance(number, int):
            return number
    channels = backbone['layers.0.attn.attn.in_proj_weight'].shape[1]
    positions = backbone.get('pos_embed')
    if layout.name == 'moco-v3' or (
        positions is not None
        and positions.ndim == 3
        and is_fixed_sine(positions)
    ):
        return _MOCO_V3_HEADS.get(channels, _usual_heads(channels))
    return _usual_heads(channels)


def _usual_heads(channels: int) -> int | None:
    heads, rest = divmod(channels, _CHANNELS_PER_HEAD)
    return _USUAL_HEADS.get(channels, None if rest else heads)
