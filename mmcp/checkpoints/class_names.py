"""Which class of one list of names is which of another."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.registry import DATASETS

# PASCAL VOC's names and COCO's for the same things.
SYNONYMS: Mapping[str, str] = {
    'aeroplane': 'airplane',
    'diningtable': 'dining table',
    'motorbike': 'motorcycle',
    'pottedplant': 'potted plant',
    'sofa': 'couch',
    'tvmonitor': 'tv',
}


def match_classes(
    held: Sequence[str],
    needed: Sequence[str],
    aliases: Mapping[str, str] | None = None,
) -> tuple[int | None, ...]:
    """Finds classes by their names, PASCAL VOC's and COCO's among them.

    Args:
        held: Names to look in, in the order of their labels.
        needed: Names to look for.
        aliases: What some of ``needed`` are called in ``held``; they come
            before equal names and before ``SYNONYMS``. Defaults to None.

    Returns:
        For each of ``needed``, the label in ``held``, or None.

    Raises:
        ValueError: If an alias is of no class on either side.

    Examples:
        >>> match_classes(['cat', 'tv', 'dog'], ['tvmonitor', 'cow', 'cat'])
        (1, None, 0)
    """
    aliases = aliases or {}
    for ours, theirs in aliases.items():
        for name, names in ((ours, needed), (theirs, held)):
            if name not in names:
                raise ValueError(
                    f"aliases has '{ours}': '{theirs}', but '{name}' is none "
                    f'of the classes {_listed(names)}'
                )
    labels = {_spelled(name): label for label, name in enumerate(held)}
    exact = {name: label for label, name in enumerate(held)}
    return tuple(
        exact[aliases[name]]
        if name in aliases
        else exact.get(name, labels.get(_spelled(name)))
        for name in needed
    )


def resolve_classes(classes: str | Sequence[str]) -> tuple[str, ...]:
    """Gives the names that a list or a type of data set stands for.

    Args:
        classes: Names, or a data set's type such as ``'mmdet.VOCDataset'``;
            without a scope it is looked up in the current one.

    Returns:
        The names in the order of their labels.

    Raises:
        ValueError: If there is no such type, or it names no classes.
    """
    if not isinstance(classes, str):
        return tuple(classes)
    with DATASETS.switch_scope_and_registry(None) as registry:
        kind = registry.get(classes)
    found = (getattr(kind, 'METAINFO', None) or {}).get('classes')
    if not found:
        raise ValueError(
            f'classes must hold names or be the type of a data set that has '
            f"them, such as 'mmdet.VOCDataset', but is {classes!r}"
        )
    return tuple(found)


def noted_classes(checkpoint: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Reads which classes a checkpoint was trained for.

    Args:
        checkpoint: What the file holds.

    Returns:
        The names that mmengine (``dataset_meta``) or MMDetection 2
        (``CLASSES``) noted; None if there are none.
    """
    meta = checkpoint.get('meta')
    if not isinstance(meta, Mapping):
        return None
    noted = meta.get('dataset_meta')
    names = noted.get('classes') if isinstance(noted, Mapping) else None
    names = names or meta.get('CLASSES')
    if not names or isinstance(names, str):
        return None
    return tuple(str(name) for name in names)


def _spelled(name: str) -> str:
    return SYNONYMS.get(name, name)


def _listed(names: Sequence[str], shown: int = 5) -> str:
    more = ', ...' if len(names) > shown else ''
    return ', '.join(names[:shown]) + more
