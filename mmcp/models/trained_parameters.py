"""Training a few layers of a model while the rest stays as it is."""

import difflib
from collections.abc import Sequence
from fnmatch import fnmatchcase
from itertools import chain
from typing import cast

from mmengine.logging import print_log
from torch import nn

__all__ = ['PartlyTrained', 'set_frozen_parts_to_eval', 'train_only']


class PartlyTrained:
    """What makes a model train a few of its layers; to inherit from first.

    Everything else is frozen and in evaluation mode, see
    :func:`set_frozen_parts_to_eval`. The freezing is done when the model is
    made, so that training on several GPUs needs no
    ``find_unused_parameters``.

    Attributes:
        trained_names: Names of the parameters that are trained.
    """

    trained_names: list[str]

    def train_only(self, patterns: Sequence[str]) -> None:
        """Freezes the rest, and says what is trained.

        Args:
            patterns: Names of parameters, with ``*`` for any characters.

        Raises:
            ValueError: If there are no patterns or one matches nothing.
        """
        model = cast(nn.Module, self)
        self.trained_names = train_only(model, patterns)
        print_log(
            f'training {len(self.trained_names)} of '
            f'{len(list(model.parameters()))} parameters: '
            f'{", ".join(self.trained_names)}',
            logger='current',
        )

    def train(self, mode: bool = True) -> 'PartlyTrained':
        """Sets the mode of what is trained; the rest stays in evaluation.

        Args:
            mode: Whether to train. Defaults to True.

        Returns:
            Itself.
        """
        super().train(mode)  # type: ignore[misc]
        set_frozen_parts_to_eval(cast(nn.Module, self))
        return self


def train_only(model: nn.Module, patterns: Sequence[str]) -> list[str]:
    """Freezes every parameter whose name matches no pattern.

    Do it before the model is wrapped for several GPUs, which looks at what is
    trained; :class:`PartlyTrained` does.

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
    them alone, and they drop nothing. A dropout between layers of which some
    are trained belongs to these, and keeps its mode.

    Args:
        model: The model; itself it keeps its mode.
    """
    for child in model.children():
        if any(one.requires_grad for one in child.parameters()):
            set_frozen_parts_to_eval(child)
        elif any(True for _ in chain(child.parameters(), child.buffers())):
            child.train(False)
