"""Compares the tensors that a model needs with those that a file holds."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Size, Tensor

Shapes = Mapping[str, Size]

# A count that nothing depends on; old files lack it.
_OPTIONAL = 'num_batches_tracked'
# Later stages of ResNets and EfficientNets, MobileNetV2's last layer, final
# norms: backbones are built without them where nobody looks at what they give.
_EFFICIENT_NET = (
    r'layers\.\d+(?=\.(conv|bn|\d+\.(expand_conv|depthwise_conv|se'
    r'|linear_conv))\.)'
)
_LATER = re.compile(
    rf'(?P<root>layer\d+|{_EFFICIENT_NET}|conv2|(ln|norm)\d*)\..*'
)
_SHOWN = 5


@dataclass(frozen=True)
class Comparison:
    """How the tensors of a part fit.

    Attributes:
        part: The part's name.
        needed: What the model has there, without counters of batches that
            the file lacks.
        held: What the file has there.
        missing: Names the file lacks.
        unexpected: Names the model lacks.
        misshapen: Names of tensors whose shapes differ.
        unused: Names of stages the model's backbone was built without.
    """

    part: str
    needed: Shapes
    held: Shapes
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshapen: tuple[str, ...]
    unused: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether every tensor has its counterpart."""
        return not (self.missing or self.unexpected or self.misshapen)

    @property
    def matched(self) -> int:
        """Number of tensors with a counterpart of the same shape."""
        return sum(
            self.held.get(name) == shape for name, shape in self.needed.items()
        )

    def problems(self) -> list[str]:
        """What does not fit, one line for each kind.

        Returns:
            Lines with the first names of each kind; empty if all fits.
        """
        shapes = [
            f'{name} ({tuple(self.held[name])} in the file, '
            f'{tuple(self.needed[name])} in the model)'
            for name in self.misshapen
        ]
        return [
            f'{self.part}: {len(names)} {what}: {_listed(names)}'
            for what, names in (
                ('missing in the file', list(self.missing)),
                ('not in the model', list(self.unexpected)),
                ('of another shape', shapes),
            )
            if names
        ]


def compare(
    part: str, needed: Mapping[str, Tensor], held: Mapping[str, Tensor]
) -> Comparison:
    """Compares names and shapes.

    Args:
        part: The part's name.
        needed: Tensors of the model.
        held: Tensors of the file.

    Returns:
        What fits and what does not.
    """
    needed = {
        name: value
        for name, value in needed.items()
        if name in held or not name.endswith(_OPTIONAL)
    }
    roots = {_root(name) for name in needed}
    surplus = [name for name in held if name not in needed]
    unused = [
        name
        for name in surplus
        if part == 'backbone' and _is_later(name, roots)
    ]
    return Comparison(
        part=part,
        needed={name: value.shape for name, value in needed.items()},
        held={name: value.shape for name, value in held.items()},
        missing=tuple(name for name in needed if name not in held),
        unexpected=tuple(
            name
            for name in surplus
            if name not in unused and not name.endswith(_OPTIONAL)
        ),
        misshapen=tuple(
            name
            for name, value in needed.items()
            if name in held and held[name].shape != value.shape
        ),
        unused=tuple(unused),
    )


def _root(name: str) -> str | None:
    match = _LATER.fullmatch(name)
    return match and match['root']


def _is_later(name: str, roots: set[str | None]) -> bool:
    root = _root(name)
    return root is not None and root not in roots


def _listed(names: list[str]) -> str:
    more = f' and {len(names) - _SHOWN} more' if len(names) > _SHOWN else ''
    return ', '.join(names[:_SHOWN]) + more
