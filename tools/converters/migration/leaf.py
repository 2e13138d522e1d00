"""The text of a small config that changes another one."""

import keyword
import math
from typing import Any

WIDTH = 79
_INDENT = 4


def override(old: Any, new: Any) -> Any:
    """The least that mmengine must merge into ``old`` to get ``new``.

    Args:
        old: What the base has.
        new: What it shall become.

    Returns:
        Dicts hold the changed keys only, so that what the base says later
        still counts; one that loses keys, or that replaces something else, is
        given whole, with ``_delete_``.
    """
    if not isinstance(new, dict):
        return new
    if not isinstance(old, dict) or set(old) - set(new):
        return dict(_delete_=True, **new)
    return {
        key: override(old[key], value) if key in old else value
        for key, value in new.items()
        if key not in old or not _same(old[key], value)
    }


def _same(old: Any, new: Any) -> bool:
    """Equality that tells 1 from True and 1.0."""
    return repr(old) == repr(new)


def leaf_text(base: str, title: str, changes: dict[str, Any]) -> str:
    """Writes a config that inherits from another one.

    Args:
        base: The base, as ``_base_`` has it.
        title: First line of the docstring.
        changes: Top-level variables, as :func:`override` gives them.

    Returns:
        Python text.
    """
    head = f'"""{title}\n\nWritten by tools/converters/migrate_config.py.\n"""'
    body = [
        f'{key} = {render(value, used=len(key) + 3)}'
        for key, value in changes.items()
    ]
    return '\n\n'.join([head, f'_base_ = {base!r}', *body]) + '\n'


def render(value: Any, indent: int = 0, used: int = 0) -> str:
    """Spells a value as Python text, wrapped at 79 columns.

    Args:
        value: Dicts, lists, tuples and plain values.
        indent: Columns before the first line. Defaults to 0.
        used: Columns that the first line has after these. Defaults to 0.

    Returns:
        The text.

    Raises:
        TypeError: If a value has no such spelling.
    """
    flat = _flat(value)
    # One column for the comma.
    if indent + used + len(flat) < WIDTH or not isinstance(
        value, dict | list | tuple
    ):
        return flat
    opening, closing, items = _parts(value)
    inner = indent + _INDENT
    lines = [
        f'{" " * inner}{prefix}{render(item, inner, len(prefix))},'
        for prefix, item in items
    ]
    return '\n'.join([opening, *lines, ' ' * indent + closing])


def _parts(value: Any) -> tuple[str, str, list[tuple[str, Any]]]:
    """Brackets, and what stands before each item with the item."""
    if isinstance(value, list):
        return '[', ']', [('', item) for item in value]
    if isinstance(value, tuple):
        return '(', ')', [('', item) for item in value]
    if all(_is_name(key) for key in value):
        return 'dict(', ')', [(f'{key}=', v) for key, v in value.items()]
    return '{', '}', [(f'{_flat(key)}: ', v) for key, v in value.items()]


def _is_name(key: Any) -> bool:
    return (
        isinstance(key, str)
        and key.isidentifier()
        and not keyword.iskeyword(key)
    )


def _flat(value: Any) -> str:
    if isinstance(value, dict | list | tuple):
        opening, closing, items = _parts(value)
        inner = ', '.join(f'{prefix}{_flat(item)}' for prefix, item in items)
        comma = ',' if isinstance(value, tuple) and len(value) == 1 else ''
        return f'{opening}{inner}{comma}{closing}'
    if isinstance(value, float) and not math.isfinite(value):
        return f'float({str(value)!r})'
    if value is None or isinstance(value, str | bool | int | float):
        return repr(value)
    raise TypeError(
        f'a config cannot spell a {type(value).__name__}: {value!r}'
    )
