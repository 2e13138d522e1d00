"""Scores from which on a prediction becomes a pseudo-label."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mmengine import fileio
from numpy.typing import NDArray

from mmcp.engine.config import UsageError
from mmcp.engine.nearest import did_you_mean

_FILES = ('.json', '.yaml', '.yml')


@dataclass(frozen=True)
class ScoreThresholds:
    """The lowest score that is kept, for each class.

    Attributes:
        default: For classes that are not named, in [0, 1].
        by_class: By name of the class, in [0, 1].

    Raises:
        UsageError: If one does not lie in [0, 1].
    """

    default: float = 0.5
    by_class: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Looks at the range."""
        for name, value in {'default': self.default, **self.by_class}.items():
            # Nor is what is no number at all.
            if not 0 <= value <= 1:
                raise UsageError(
                    f'the score threshold of {name} must lie in [0, 1], but '
                    f'is {value}'
                )

    def of(self, classes: Sequence[str]) -> NDArray[np.float32]:
        """Thresholds in the order of a model's classes.

        Args:
            classes: Names of the K classes.

        Returns:
            Shape (K,).

        Raises:
            UsageError: If a class that has a threshold of its own is unknown.
        """
        for name in self.by_class:
            if name not in classes:
                raise UsageError(
                    f"there is a score threshold for '{name}', but the model "
                    f'has no such class.{did_you_mean(name, classes)}'
                )
        values = [self.by_class.get(name, self.default) for name in classes]
        return np.array(values, np.float32)


def read_class_thresholds(words: Iterable[str]) -> dict[str, float]:
    """Reads thresholds of classes from a command line.

    Args:
        words: Each is ``NAME=SCORE``, several of them with commas between, or
            the path of a JSON or YAML file with a mapping from names to
            scores. Later ones win.

    Returns:
        Scores by name.

    Raises:
        UsageError: If a file does not exist or something is of another form.

    Examples:
        >>> read_class_thresholds(['person=0.7,dog=0.4', 'stop sign=0.6'])
        {'person': 0.7, 'dog': 0.4, 'stop sign': 0.6}
    """
    thresholds: dict[str, float] = {}
    for word in words:
        if word.endswith(_FILES):
            thresholds.update(_from_file(Path(word)))
            continue
        for pair in word.split(','):
            name, equals, score = pair.rpartition('=')
            if not equals or not name:
                raise UsageError(
                    f"'{pair}' is neither NAME=SCORE nor a JSON or YAML file"
                )
            thresholds[name.strip()] = _number(name, score)
    return thresholds


def _from_file(path: Path) -> dict[str, float]:
    if not path.is_file():
        raise UsageError(f'{path} with score thresholds does not exist')
    content = fileio.load(path)
    if not isinstance(content, dict):
        raise UsageError(
            f'{path} must hold a mapping from names of classes to scores, but '
            f'holds a {type(content).__name__}'
        )
    return {str(name): _number(name, score) for name, score in content.items()}


def _number(name: str, score: Any) -> float:
    try:
        return float(score)
    except (TypeError, ValueError):
        raise UsageError(
            f"the score threshold of '{name}' must be a number, but is "
            f'{score!r}'
        ) from None
