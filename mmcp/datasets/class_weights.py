"""Which classes are pasted, and how often."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Class = int | str


class ClassWeights:
    """Sampling weights of objects by their class.

    Classes may be named by index or by name; names are understood once
    :meth:`resolve` has been told the data set's classes.

    Args:
        weights: From class to weight (the others weigh 1), or a sequence with
            one weight for each class index. Defaults to None, meaning 1 for
            all.
        allow: Classes to choose from. Defaults to None, meaning all.
        deny: Classes never chosen. Defaults to None.

    Raises:
        ValueError: If a weight is negative or not finite.
        TypeError: If a class is neither an index nor a name.
    """

    def __init__(
        self,
        weights: Mapping[Class, float] | Sequence[float] | None = None,
        allow: Sequence[Class] | None = None,
        deny: Sequence[Class] | None = None,
    ) -> None:
        if weights is None:
            weights = {}
        elif not isinstance(weights, Mapping):
            weights = dict(enumerate(weights))
        for name, weight in weights.items():
            if not (np.isfinite(weight) and weight >= 0):
                raise ValueError(
                    'a class weight must be finite and not negative, but '
                    f'class {name!r} has {weight}'
                )
        self._weights = dict(weights)
        self._allow = None if allow is None else _listed('allow', allow)
        self._deny = _listed('deny', deny or ())
        for name in [*self._weights, *(self._allow or ()), *self._deny]:
            if not isinstance(name, int | str):
                raise TypeError(
                    f'a class is given by index or name, not by {name!r}'
                )

    @property
    def trivial(self) -> bool:
        """Whether all classes weigh the same."""
        return not (self._weights or self._deny) and self._allow is None

    def resolve(self, classes: Sequence[str]) -> None:
        """Replaces class names by indices.

        Args:
            classes: All class names of the data set, by index.

        Raises:
            ValueError: If a name is unknown; the nearest one is proposed.
        """
        self._weights = {
            _index(name, classes): weight
            for name, weight in self._weights.items()
        }
        if self._allow is not None:
            self._allow = [_index(name, classes) for name in self._allow]
        self._deny = [_index(name, classes) for name in self._deny]

    def of(self, labels: NDArray[Any]) -> NDArray[np.float64]:
        """Weights of objects.

        Args:
            labels: Class indices, shape (N,), int64.

        Returns:
            Weights, shape (N,).

        Raises:
            ValueError: If class names have not been resolved.
        """
        unresolved = [
            name
            for name in [*self._weights, *(self._allow or ()), *self._deny]
            if isinstance(name, str)
        ]
        if unresolved:
            raise ValueError(
                f'class names {unresolved} are not known here, since the '
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


def _listed(argument: str, classes: Sequence[Class]) -> list[Class]:
    if isinstance(classes, str):
        raise TypeError(
            f'{argument} is a list of classes; write {argument}=[{classes!r}]'
        )
    return list(classes)


def _index(name: Class, classes: Sequence[str]) -> int:
    if isinstance(name, int):
        return name
    if name in classes:
        return list(classes).index(name)
    near = difflib.get_close_matches(name, classes, 1)
    hint = f"; did you mean '{near[0]}'?" if near else ''
    raise ValueError(f"the data set has no class '{name}'{hint}")
