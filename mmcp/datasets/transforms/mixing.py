"""What transforms that paste from a second image have in common."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmcp.datasets.class_weights import ClassWeights
from mmcp.datasets.image_categories import categories_of

__all__ = ['ClassDraws', 'check_choice', 'parse_count', 'source_of']

Results = dict[str, Any]

_UNBOUNDED = 1 << 30
_COUNTS = {
    'random': (0, _UNBOUNDED),
    'one': (1, 1),
    'all': (_UNBOUNDED, _UNBOUNDED),
}


class ClassDraws:
    """Draws from a source by class; what ``MultiImageMixDataset`` calls."""

    _weights: ClassWeights

    def set_classes(self, classes: Sequence[str]) -> None:
        """Tells the names that ``class_weights``, ``allow``, ``deny`` use.

        Args:
            classes: All class names, by index.

        Raises:
            ValueError: If a name is unknown.
        """
        self._weights.resolve(classes)

    def count_classes(self, labels: NDArray[np.int64]) -> None:
        """Tells the objects that ``class_weights`` may go by.

        Args:
            labels: Class indices of all objects of the source data set, shape
                (N,).
        """
        self._weights.count(labels)

    def get_indexes(self, dataset: Any) -> int:
        """Draws the source image; ``MultiImageMixDataset`` calls this.

        Args:
            dataset: The wrapped data set.

        Returns:
            An index into it.
        """
        if not self._weights.trivial:
            self.set_classes(dataset.metainfo['classes'])
        if not self._weights.counted:
            labels = chain.from_iterable(categories_of(dataset))
            self.count_classes(np.fromiter(labels, np.int64))
        return int(np.random.randint(0, len(dataset)))  # noqa: NPY002

    get_indices = get_indexes
    """What MMSegmentation's ``MultiImageMixDataset`` calls it."""


def check_choice(name: str, value: Any, choices: tuple[Any, ...]) -> None:
    """Refuses a value that is none of the choices.

    Args:
        name: What the error calls the argument.
        value: The value.
        choices: All that it may be.

    Raises:
        ValueError: If it is none of them.
    """
    if value not in choices:
        raise ValueError(f'{name} must be one of {choices}, but is {value!r}')


def parse_count(
    num_pasted: str | int | Sequence[int | None],
) -> tuple[int, int]:
    """Turns ``num_pasted`` into the least and the most objects.

    Args:
        num_pasted: ``'random'``, ``'one'``, ``'all'``, a number or
            ``(low, high)``, where a ``high`` of None means all.

    Returns:
        The least and the most, which may be more than there are.

    Raises:
        ValueError: If it is nothing of the kind.
    """
    if isinstance(num_pasted, str) and num_pasted in _COUNTS:
        return _COUNTS[num_pasted]
    if isinstance(num_pasted, int):
        num_pasted = (num_pasted, num_pasted)
    if not isinstance(num_pasted, str) and len(num_pasted) == 2:
        low, high = num_pasted
        high = _UNBOUNDED if high is None else high
        if isinstance(low, int) and isinstance(high, int) and 0 <= low <= high:
            return low, high
    raise ValueError(
        "num_pasted must be 'random', 'one', 'all', a number or (low, high) "
        f'with 0 <= low <= high, but is {num_pasted!r}'
    )


def source_of(results: Results, name: str) -> Results:
    """Takes the one image to paste from.

    Args:
        results: Results of the destination, with ``mix_results``.
        name: What the error calls the transform.

    Returns:
        A shallow copy of the source's results.

    Raises:
        ValueError: If there is none, or more than one.
    """
    mixed = results.get('mix_results')
    mixed = [one for one in mixed or () if one is not None]
    if len(mixed) != 1:
        found = len(mixed) or 'none'
        raise ValueError(
            f"{name} needs one source image in 'mix_results', but found "
            f'{found}; put it into the pipeline of a MultiImageMixDataset'
        )
    return dict(mixed[0])
