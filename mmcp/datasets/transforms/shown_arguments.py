"""Transforms that show their arguments."""

import inspect

__all__ = ['ShownArguments']


class ShownArguments:
    """Shows every argument of ``__init__``, kept under its own name."""

    def __repr__(self) -> str:
        """Shows every argument with its value."""
        names = inspect.signature(type(self)).parameters
        values = ', '.join(f'{name}={getattr(self, name)!r}' for name in names)
        return f'{type(self).__name__}({values})'
