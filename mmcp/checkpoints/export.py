"""Writes weights under the names that MMSegmentation and MMDetection expect.

What is written is read by mmengine's own ``Pretrained`` and ``load_from``,
and by :class:`mmcp.checkpoints.Pretrained`.
"""

import hashlib
from pathlib import Path
from typing import Any

from torch import Tensor

from mmcp.checkpoints.positions import resize_positions, square_side
from mmcp.checkpoints.reader import CheckpointError
from mmcp.checkpoints.strict import parse_part
from mmcp.checkpoints.weights import ModelWeights

# What names of each part begin with.
TARGETS = {
    'mmseg': {
        'backbone': 'backbone.',
        'neck': 'neck.',
        'head': 'decode_head.',
    },
    'mmdet': {'backbone': 'backbone.', 'neck': 'neck.'},
    'backbone': {'backbone': ''},
}
_CHUNK = 1 << 20


def export_weights(
    weights: ModelWeights, target: str = 'mmseg', part: str | None = None
) -> dict[str, Tensor]:
    """Names the tensors of a checkpoint as a model of a target has them.

    Args:
        weights: What a file holds.
        target: ``'mmseg'`` (``backbone.``, ``decode_head.`` and ``neck.``),
            ``'mmdet'`` (``backbone.`` and ``neck.``) or ``'backbone'`` (no
            prefix). Defaults to ``'mmseg'``.
        part: ``'backbone'``, ``'backbone+neck'`` or ``'backbone+head'``.
            Defaults to None, meaning backbone and head, as far as the file
            and the target have them.

    Returns:
        Tensors by name, copies on the CPU.

    Raises:
        ValueError: If the target is unknown or has no such part.
        CheckpointError: If the file has no such part.
    """
    if target not in TARGETS:
        raise ValueError(
            f'the target must be one of {", ".join(TARGETS)}, but is '
            f'{target!r}'
        )
    prefixes = TARGETS[target]
    wanted = [name for name in prefixes if name != 'neck']
    if part is not None:
        wanted = list(parse_part(part))
    for name in wanted:
        if name not in prefixes:
            raise ValueError(f'a file for {target} has no {name}')
        if not weights.part(name) and (part or name == 'backbone'):
            raise CheckpointError(
                f'{weights.source} ({weights.layout.title}) holds no {name}.'
            )
    # Unasked only with a decode head: without one it may be a projector.
    if 'head' in wanted and weights.head:
        wanted.append('neck')
    return {
        prefixes[name] + key: value.detach().cpu().clone()
        for name in wanted
        for key, value in weights.part(name).items()
    }


def fit_positions(
    state: dict[str, Tensor], image: tuple[int, int]
) -> tuple[int, int]:
    """Resizes the position embedding of exported weights, in place.

    Args:
        state: Result of :func:`export_weights`.
        image: Height and width of the images that the transformer will be
            built for (its ``img_size``), a multiple of the patch.

    Returns:
        Rows and columns of the new grid.

    Raises:
        ValueError: If the size is no multiple of the patch.
        CheckpointError: If there is no position embedding of a square grid.
    """
    name = next((n for n in state if n.endswith('pos_embed')), None)
    if name is None or square_side(state[name]) is None:
        raise CheckpointError(
            'There is no position embedding of a square grid to be resized.'
        )
    kernel = name.removesuffix('pos_embed') + 'patch_embed.projection.weight'
    patch = state[kernel].shape[-1]
    if image[0] % patch or image[1] % patch:
        raise ValueError(
            f'an image of {image[0]}x{image[1]} is no whole number of patches '
            f'of {patch}'
        )
    grid = (image[0] // patch, image[1] // patch)
    state[name] = resize_positions(state[name], grid)
    return grid


def export_meta(weights: ModelWeights) -> dict[str, Any]:
    """What a written file should say about the one it comes from.

    Args:
        weights: What that file held.

    Returns:
        Name and layout of the file and, for a transformer, ``num_heads``,
        which is checked when the written file is loaded. It belongs at
        ``meta['mmcp']``.
    """
    meta: dict[str, Any] = dict(
        source=Path(weights.source).name, layout=weights.layout.name
    )
    if weights.num_heads is not None:
        meta['num_heads'] = weights.num_heads
    return meta


def file_hash(path: Path) -> str:
    """Computes the SHA-256 of a file.

    Args:
        path: The file.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
