"""Arguments and ways of a data set that was not built yet."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any


def keeps_methods(kind: Any, base_name: str, methods: Sequence[str]) -> bool:
    """Whether a class does some things as a base of it does.

    Args:
        kind: Class of a data set.
        base_name: Name of the base, which need not be imported.
        methods: Names of the methods in question.

    Returns:
        True if it has such a base and overrides none of the methods.
    """
    bases = getattr(kind, '__mro__', ())
    base = next((c for c in bases if c.__name__ == base_name), None)
    return base is not None and all(
        getattr(kind, name) is getattr(base, name) for name in methods
    )


def argument_of(dataset: Mapping[str, Any], kind: Any, name: str) -> str:
    """What an argument will be: as in the config, or else by default.

    Args:
        dataset: Config of a data set.
        kind: Its class.
        name: Name of the argument.

    Returns:
        The value as text, of the class or the first of its bases that has
        such an argument; empty if none has.
    """
    if name in dataset:
        return str(dataset[name])
    for base in kind.__mro__:
        own = vars(base).get('__init__')
        parameters = inspect.signature(own).parameters if own else {}
        if name in parameters:
            return str(parameters[name].default)
    return ''
