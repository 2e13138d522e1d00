"""Training a few layers of a model while the rest stays as it is."""

import difflib
from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import nn


def train_only(model: nn.Module, patterns: Sequence[str]) -> list[str]:
    """Freezes every parameter whose name matches no pattern.

    Do it before the model is wrapped for several GPUs, which looks at what is
    trained; :class:`mmcp.ClassifierFineTuner` does.

    Args:
        model: The model.
        patterns: Names of parameters, with ``*`` for any characters.

    Returns:
        Names of the parameters that stay trained.

    Raises:
        ValueError: If there are no patterns or one of them matches nothing.
    """
    if not patterns:
        raise ValueError('no patterns are given, so nothing would be trained')
    names = [name for name, _ in model.named_parameters()]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            near = difflib.get_close_matches(pattern, names, 1, 0)
            hint = f"; the nearest is '{near[0]}'" if near else ''
            raise ValueError(
                f"'{pattern}' matches none of the {len(names)} parameters of "
                f'{type(model).__name__}{hint}'
            )
    trained = [
        name
        for name in names
        if any(fnmatchcase(name, pattern) for pattern in patterns)
    ]
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name in trained
    return trained


def set_frozen_parts_to_eval(model: nn.Module) -> None:
    """Puts modules without trained parameters into evaluation mode.

    Their batch normalisation then uses its running statistics and leaves
    them alone, and they drop nothing.

    Args:
        model: The model; itself it keeps its mode.
    """
    for child in model.children():
        if any(one.requires_grad for one in child.parameters()):
            set_frozen_parts_to_eval(child)
        else:
            child.train(False)
