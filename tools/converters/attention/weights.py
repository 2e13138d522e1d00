"""Finds a vision transformer in a checkpoint, or says why it is none."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mmcp.checkpoints import CheckpointError
from mmcp.functional.vit_attention import weight_shapes

# Where checkpoints keep their weights, the better ones first: DINO's full
# checkpoints hold a student too, whose attention is noisier.
_PLACES = ('teacher', 'state_dict', 'model', 'student')
_MARK = 'patch_embed.proj.weight'
_HEADS = ('head.', 'fc.')


def find_transformer(
    checkpoint: Mapping[str, Any], name: str
) -> dict[str, Tensor]:
    """Picks the weights of a vision transformer, every one of them.

    Args:
        checkpoint: What the file holds: the weights themselves, or a dict
            with them at ``teacher``, ``state_dict``, ``model`` or
            ``student``.
        name: What errors call the file.

    Returns:
        Weights by timm's names without prefix, float32, as
        :func:`mmcp.functional.vit_attention.weight_shapes` lists them.

    Raises:
        CheckpointError: If there is no transformer, or if weights are
            missing, too many or of a wrong shape.
    """
    weights, prefix = _locate(checkpoint, name)
    found = {
        key.removeprefix(prefix): value
        for key, value in weights.items()
        if key.startswith(prefix)
    }
    found = {k: v for k, v in found.items() if not k.startswith(_HEADS)}
    try:
        shapes = weight_shapes(found)
    except ValueError as error:
        raise CheckpointError(
            f'{name} is no vision transformer: {error}.'
        ) from error
    _compare(found, shapes, name)
    return {key: found[key].float() for key in shapes}


def _locate(
    checkpoint: Mapping[str, Any], name: str
) -> tuple[Mapping[str, Tensor], str]:
    """The dict of weights and the prefix of a transformer's in it."""
    places = [checkpoint.get(place) for place in _PLACES]
    for weights in [*places, checkpoint]:
        if not isinstance(weights, Mapping):
            continue
        prefixes = sorted(
            key.removesuffix(_MARK)
            for key in weights
            if isinstance(key, str) and key.endswith(_MARK)
        )
        if prefixes:
            return weights, prefixes[0]
    raise CheckpointError(
        f"{name} holds no vision transformer with timm's names, as DINO's "
        f"released backbones have them: no key ends with '{_MARK}'. Use "
        'dino_vitbase16_pretrain.pth, the backbone only.'
    )


def _compare(
    found: Mapping[str, Tensor],
    shapes: Mapping[str, tuple[int, ...]],
    name: str,
) -> None:
    problems = [f"'{key}' is missing" for key in shapes if key not in found]
    problems += [f"'{key}' is unknown" for key in found if key not in shapes]
    problems += [
        f"'{key}' is {tuple(found[key].shape)} instead of {shape}"
        for key, shape in shapes.items()
        if key in found and tuple(found[key].shape) != shape
    ]
    if problems:
        more = ', ...' if len(problems) > 5 else ''
        raise CheckpointError(
            f'{name} does not fit a plain vision transformer: '
            f'{", ".join(problems[:5])}{more}.'
        )
