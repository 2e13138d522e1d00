"""Which classes are pasted, and how often."""

import difflib
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmcp.functional.long_tail import inverse_frequency_weights

Class = int | str
Weights = Mapping[Class, float] | Sequence[float] | str
# Names of weights that follow from the data set, with their power.
COUNTED = {'inverse_frequency': 1.0, 'inverse_sqrt_frequency': 0.5}


class ClassWeights:
    """Sampling weights of objects by their class.

    Classes may be named by index or by name; names are understood once
    :meth:`resolve` has been told the data set's classes.

    Args:
        weights: From class to weight (the others weigh 1), or a sequence with
            one weight for each class index, or ``'inverse_frequency'`` or
            ``'inverse_sqrt_frequency'``: one over the number of objects of
            the class, or over its square root, known once :meth:`count` has
            been told the objects. Defaults to None, meaning 1 for all.
        allow: Classes to choose from. Defaults to None, meaning all.
        deny: Classes never chosen. Defaults to None.

    Raises:
        ValueError: If a weight is negative or not finite, or if a string is
            none of the two.
        TypeError: If a class is neither an index nor a name.
    """

    def __init__(
        self,
        weights: Weights | None = None,
        allow: Sequence[Class] | None = None,
        deny: Sequence[Class] | None = None,
    ) -> None:
        self._length: int | None = None
        self._power: float | None = None
        self._counted = True
        if weights is None:
            weights = {}
        elif isinstance(weights, str):
            self._power, self._counted = _power(weights), False
            weights = {}
        elif not isinstance(weights, Mapping):
            self._length = len(weights)
            weights = dict(enumerate(weights))
        for name, weight in weights.items():
            if not (np.isfinite(weight) and weight >= 0):
                raise ValueError(
                    'a class weight must be finite and not negative, but '
                    f'class {name!r} has {weight}'
                )
        self._weights = {_class(k): weight for k, weight in weights.items()}
        self._allow = None if allow is None else _listed('allow', allow)
        self._deny = [] if deny is None else _listed('deny', deny)

    @property
    def trivial(self) -> bool:
        """Whether all classes weigh the same."""
        lists = self._weights or self._deny
        return not lists and self._allow is None and self._power is None

    @property
    def counted(self) -> bool:
        """Whether the weights are known; :meth:`count` makes them so."""
        return self._counted

    @property
    def names(self) -> list[str]:
        """Class names that :meth:`resolve` has not replaced."""
        classes = [*self._weights, *(self._allow or ()), *self._deny]
        return [name for name in classes if isinstance(name, str)]

    def resolve(self, classes: Sequence[str]) -> None:
        """Replaces class names by indices.

        Args:
            classes: All class names of the data set, by index.

        Raises:
            ValueError: If a name is unknown (the nearest one is proposed), an
                index is out of range, a class is given twice in one argument,
                or if a sequence of weights has not one for each class.
        """
        if self._length not in (None, len(classes)):
            raise ValueError(
                f'class_weights has {self._length} weights, but the data set '
                f'has {len(classes)} classes; a dict may name some of them'
            )
        indices = _indices('class_weights', self._weights, classes)
        weights = self._weights.values()
        self._weights = dict(zip(indices, weights, strict=True))
        if self._allow is not None:
            self._allow = [*_indices('allow', self._allow, classes)]
        self._deny = [*_indices('deny', self._deny, classes)]

    def count(self, labels: NDArray[Any]) -> None:
        """Weighs classes by their frequency, if that was asked for.

        Args:
            labels: Class indices of all objects that may be drawn, shape
                (N,), int64.
        """
        if self._power is not None:
            weights = inverse_frequency_weights(
                np.bincount(labels), self._power
            )
            self._weights = dict(enumerate(weights.tolist()))
            self._counted = True

    def of(self, labels: NDArray[Any]) -> NDArray[np.float64]:
        """Weights of objects.

        Args:
            labels: Class indices, shape (N,), int64.

        Returns:
            Weights, shape (N,).

        Raises:
            ValueError: If class names have not been resolved, or objects
                not been counted.
        """
        if self.trivial:
            return np.ones(len(labels))
        if not self._counted:
            raise ValueError(
                f'class_weights is one of {[*COUNTED]}, but the transform has '
                'not seen the data set; put it into mmcp.CopyPasteDataset, '
                'or give a weight for each class'
            )
        if self.names:
            raise ValueError(
                f'class names {self.names} are not known here, since the '
                'transform has not seen the data set; give class indices'
            )
        weights = np.array(
            [self._weights.get(int(label), 1.0) for label in labels],
            np.float64,
        )
        if self._allow is not None:
            weights[~np.isin(labels, self._allow)] = 0
        weights[np.isin(labels, self._deny)] = 0
        return weights


def _power(name: str) -> float:
    if name not in COUNTED:
        raise ValueError(
            f'class_weights is a dict, a list or one of {[*COUNTED]}, but is '
            f'{name!r}'
        )
    return COUNTED[name]


def _listed(argument: str, classes: Sequence[Class]) -> list[Class]:
    if isinstance(classes, str):
        raise TypeError(
            f'{argument} is a list of classes; write {argument}=[{classes!r}]'
        )
    return [_class(name) for name in classes]


def _class(name: Any) -> Class:
    """A name as it is, any integer as an ``int``."""
    if isinstance(name, str):
        return name
    try:
        return operator.index(name)
    except TypeError:
        raise TypeError(
            f'a class is given by index or name, not by {name!r}'
        ) from None


def _indices(
    argument: str, names: Iterable[Class], classes: Sequence[str]
) -> list[int]:
    indices: list[int] = []
    for name in names:
        index = _index(argument, name, classes)
        if index in indices:
            raise ValueError(
                f"{argument} gives class {index}, '{classes[index]}', twice"
            )
        indices.append(index)
    return indices


def _index(argument: str, name: Class, classes: Sequence[str]) -> int:
    if isinstance(name, int):
        if 0 <= name < len(classes):
            return name
        raise ValueError(
            f'{argument} gives class {name}, but the data set has '
            f'{len(classes)} classes, counted from 0'
        )
    if name in classes:
        return list(classes).index(name)
    near = difflib.get_close_matches(name, classes, 1)
    hint = f"; did you mean '{near[0]}'?" if near else ''
    raise ValueError(f"the data set has no class '{name}'{hint}")
