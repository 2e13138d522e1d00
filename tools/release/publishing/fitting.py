"""Whether what is published is of the model that the config describes."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor

from mmcp.checkpoints.causes import likely_causes
from mmcp.checkpoints.comparison import Comparison, compare
from mmcp.checkpoints.layouts import plain_name
from mmcp.engine.build_on_meta import build_on_meta
from mmcp.engine.config import UsageError
from mmcp.engine.failures import explain
from mmcp.engine.messages import say
from mmcp.engine.options import leaves
from publishing.contents import choose_contents

# What begins the names of parts whose misfits can be explained.
_PARTS = {'backbone': 'backbone', 'neck': 'neck', 'decode_head': 'head'}
# mmengine calls any other dotted name as the function that it leads to.
_SCOPE = r'(mmcp|mmcv|mmdet|mmengine|mmseg)'
_HARMLESS = {
    'type': re.compile(rf'\w+|{_SCOPE}\.[A-Z]\w*'),
    '_scope_': re.compile(_SCOPE),
    'default_scope': re.compile(_SCOPE),
}


def require_fit(
    state: Mapping[str, Tensor], config: Config, described: str
) -> None:
    """Compares names and shapes with those of a config's model.

    Of the model, that is compared which would be published of it. If a class
    is not installed here, stderr says that nothing was compared.

    Args:
        state: The tensors to publish.
        config: The config.
        described: What messages call the config.

    Raises:
        UsageError: If a tensor is missing, surplus or of another shape, or
            the config refuses to be built.
    """
    needed = _published_of(config, described)
    if needed is None:
        return
    needed, held = _by_part(needed), _by_part(state)
    comparisons = [
        _compare(part, needed.get(part, {}), held.get(part, {}))
        for part in dict.fromkeys([*needed, *held])
    ]
    problems = [line for c in comparisons for line in c.problems()]
    if problems:
        raise UsageError(
            '\n  '.join(
                [
                    'the checkpoint does not fit the model of '
                    f'{described}; nothing was published',
                    *problems,
                    f'likely cause: {_cause(comparisons)}',
                ]
            )
        )


def is_harmless(config: Mapping[str, Any]) -> bool:
    """Whether the model in an untrusted file's config may be built.

    Args:
        config: The model and its scope.

    Returns:
        Whether no type in it leads to a function outside of registries.
    """
    return all(
        isinstance(value, str) and _HARMLESS[key].fullmatch(value)
        for place, value in leaves(config, '')
        if (key := place.rpartition('.')[2]) in _HARMLESS
    )


def _published_of(config: Config, described: str) -> dict[str, Tensor] | None:
    try:
        model = build_on_meta(config)
    except Exception as error:
        what = f'the model of {described}, which cannot be built here'
        reason = explain(error)
        if _is_absent(error):
            say(f'NOT COMPARED with {what}: {reason or error}')
            return None
        if reason is None:
            raise
        raise UsageError(f'cannot compare with {what}: {reason}') from error
    blank = {
        name: torch.zeros(value.shape)
        for name, value in model.state_dict().items()
        if isinstance(value, Tensor)
    }
    return choose_contents(dict(state_dict=blank), described).state


def _is_absent(error: Exception) -> bool:
    """Whether a class or its package is not installed here."""
    if isinstance(error, KeyError):
        # Classes that refuse an argument raise this error, too.
        return 'is not in the' in str(error)
    return isinstance(error, ImportError)


def _by_part(state: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    parts: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for name, value in state.items():
        root, _, inner = plain_name(name).partition('.')
        parts[_PARTS.get(root, root)][inner] = value
    return parts


def _compare(
    part: str, needed: Mapping[str, Tensor], held: Mapping[str, Tensor]
) -> Comparison:
    found = compare(part, needed, held)
    # Surplus stages can be loaded, but do not come from such a training.
    return replace(found, unexpected=found.unexpected + found.unused)


def _cause(comparisons: list[Comparison]) -> str:
    for comparison in comparisons:
        if comparison.part in _PARTS.values() and comparison.held:
            for text in likely_causes(comparison):
                # What follows is advice for loading.
                return text.split('; ', 1)[0]
    return (
        'it is of another training, the config has changed since, or tensors '
        'were taken out of it'
    )
