"""Takes the heads of a two-stage detector over to other classes."""

import re
from collections.abc import Mapping, Sequence

from torch import Tensor

from mmcp.checkpoints.class_names import match_classes
from mmcp.checkpoints.strict import MismatchError

# Layers with rows of their own for each class: rows a class has, and rows
# after those of all classes (background is last).
CLASS_LAYERS = {'fc_cls': (1, 1), 'fc_reg': (4, 0), 'conv_logits': (1, 0)}
_NAME = re.compile(
    r'roi_head\.(?:bbox|mask)_head\.(?:\d+\.)?'
    rf'(?P<layer>{"|".join(CLASS_LAYERS)})\.(?:weight|bias)'
)


def remap_det_heads(
    held: Mapping[str, Tensor],
    needed: Mapping[str, Tensor],
    held_classes: Sequence[str],
    needed_classes: Sequence[str],
    aliases: Mapping[str, str] | None = None,
) -> dict[str, Tensor]:
    """Copies the rows of shared classes between the heads of two detectors.

    Of the layers that have rows for each class (``fc_cls``, ``fc_reg`` and
    ``conv_logits`` of one head or of each of a cascade), the rows of a class
    are those of the class of the same name; so are the rows of background.
    Rows of a class that the file lacks stay as they are in ``needed``. Layers
    that are the same for all classes, and all other tensors, are the file's.

    Args:
        held: Tensors of the one detector by name (a state dict). Only its
            tensors are in the result, but where class layers are filled up.
        needed: Those of the other, initialised.
        held_classes: Names of the K classes of the one.
        needed_classes: Names of the classes of the other.
        aliases: What some of ``needed_classes`` are called in
            ``held_classes``, as for :func:`match_classes`. Defaults to None.

    Returns:
        Tensors of ``held``, its class layers with rows as in ``needed``.

    Raises:
        ValueError: If an alias is of no class on either side.
        MismatchError: If a layer's rows are not those of its classes, only
            one of two layers is the same for all classes, or the inputs of
            two layers differ.
    """
    sources = match_classes(held_classes, needed_classes, aliases)
    return {
        name: _remapped(name, value, needed[name], len(held_classes), sources)
        if name in needed and class_layer_of(name)
        else value
        for name, value in held.items()
    }


def keep_class_layers(
    held: Mapping[str, Tensor], needed: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Replaces the class layers of one detector by those of another.

    Args:
        held: Tensors of the one detector by name.
        needed: Those of the other, initialised.

    Returns:
        Tensors of ``held``, but those with rows for each class, in one of
        the two, are the ones of ``needed``.
    """
    return {
        name: needed[name]
        if name in needed
        # The rows of a single class may look like those of all.
        and (is_class_layer(name, value) or is_class_layer(name, needed[name]))
        else value
        for name, value in held.items()
    }


def class_layer_of(name: str) -> str | None:
    """Which layer with rows for classes a tensor belongs to.

    Args:
        name: Its name in a two-stage detector.

    Returns:
        One of ``CLASS_LAYERS``, or None.
    """
    match = _NAME.fullmatch(name)
    return match['layer'] if match else None


def is_class_layer(name: str, value: Tensor) -> bool:
    """Whether a tensor of a two-stage detector has rows for each class.

    Args:
        name: Its name in the detector.
        value: The tensor.

    Returns:
        True if so; boxes and masks may be the same for all classes.
    """
    layer = class_layer_of(name)
    if layer is None:
        return False
    rows, extra = CLASS_LAYERS[layer]
    return bool(extra) or value.shape[0] != rows


def _remapped(
    name: str,
    held: Tensor,
    needed: Tensor,
    num_held: int,
    sources: Sequence[int | None],
) -> Tensor:
    """One tensor of a layer with the rows of the classes it is needed for."""
    _check_inputs(name, held, needed)
    # Of one class only, a layer may be that class's or the same for all.
    ambiguous = num_held == len(sources) == 1
    shared = not is_class_layer(name, held) and not ambiguous
    if shared and needed.shape[0] == held.shape[0]:
        return held
    _check_rows(name, held, num_held, 'in the file')
    _check_rows(name, needed, len(sources), 'in the model')
    rows, extra = CLASS_LAYERS[str(class_layer_of(name))]
    result = needed.clone()
    for label, source in enumerate(sources):
        if source is not None:
            result[label * rows : (label + 1) * rows] = held[
                source * rows : (source + 1) * rows
            ]
    if extra:
        result[-extra:] = held[-extra:]
    return result


def _check_inputs(name: str, held: Tensor, needed: Tensor) -> None:
    if held.shape[1:] != needed.shape[1:]:
        raise MismatchError(
            f'{name} has rows of the shape {tuple(held.shape[1:])} in the '
            f'file and {tuple(needed.shape[1:])} in the model; make the '
            "channels of the heads those of the file's detector"
        )


def _check_rows(name: str, value: Tensor, count: int, where: str) -> None:
    rows, extra = CLASS_LAYERS[str(class_layer_of(name))]
    expected = rows * count + extra
    if value.shape[0] == expected:
        return
    kind = (
        'is the same for all classes, or '
        if not is_class_layer(name, value)
        else ''
    )
    raise MismatchError(
        f'{name} has {value.shape[0]} rows {where}, where {count} classes '
        f'need {expected}: it {kind}is not of these classes. Give the names '
        'of exactly its classes, and make reg_class_agnostic and '
        "class_agnostic those of the file's detector"
    )
