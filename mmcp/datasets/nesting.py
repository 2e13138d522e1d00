"""Looks into data sets that wrap others."""

from collections.abc import Iterator
from typing import Any, TypeVar

__all__ = ['datasets_inside']

Kind = TypeVar('Kind')


def datasets_inside(dataset: Any, kind: type[Kind]) -> Iterator[Kind]:
    """Finds data sets of one kind in any wrappers.

    Args:
        dataset: A data set, such as a loader has.
        kind: The class to look for; nothing is looked for inside of it.

    Yields:
        The data sets, each once, outer ones first.
    """
    seen: set[int] = set()
    waiting = [dataset]
    while waiting:
        part = waiting.pop(0)
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, kind):
            yield part
            continue
        for value in vars(part).values():
            values = value if isinstance(value, list | tuple) else [value]
            waiting += [value for value in values if _may_hold(value, kind)]


def _may_hold(value: Any, kind: type[Any]) -> bool:
    wraps = hasattr(value, 'dataset') or hasattr(value, 'datasets')
    return wraps or isinstance(value, kind)
