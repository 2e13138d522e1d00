"""Arguments of a data set that was not built yet."""

import inspect
from collections.abc import Mapping
from typing import Any


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
