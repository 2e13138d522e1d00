"""Reads the config in a checkpoint without running it.

mmengine keeps the text of the config in ``meta['cfg']``. It is a Python file;
only its literals are looked at.
"""

import ast
from collections.abc import Mapping
from typing import Any

_UNREADABLE = (ValueError, SyntaxError, RecursionError, MemoryError, TypeError)


def config_of(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """The config that a checkpoint was trained with.

    Args:
        checkpoint: What a checkpoint file holds.

    Returns:
        Variables of the config. Those that are more than literals and
        ``dict(...)`` are left out; empty if there is no config.

    Examples:
        >>> config_of(dict(meta=dict(cfg='a = dict(b=[1, -2])')))
        {'a': {'b': [1, -2]}}
    """
    meta = checkpoint.get('meta')
    text = meta.get('cfg') if isinstance(meta, Mapping) else None
    if not isinstance(text, str):
        return {}
    try:
        statements = ast.parse(text).body
    except _UNREADABLE:
        return {}
    config = {}
    for statement in statements:
        if not isinstance(statement, ast.Assign):
            continue
        target = statement.targets[0]
        if isinstance(target, ast.Name):
            try:
                config[target.id] = _literal(statement.value)
            except _UNREADABLE:
                continue
    return config


def look_up(config: Any, *path: str) -> Any:
    """Follows keys into nested dictionaries.

    Args:
        config: Where to start.
        path: The keys.

    Returns:
        What is there; None if a key is absent.
    """
    for key in path:
        if not isinstance(config, Mapping):
            return None
        config = config.get(key)
    return config


def _literal(node: ast.expr) -> Any:
    if isinstance(node, ast.Call):
        if not (isinstance(node.func, ast.Name) and node.func.id == 'dict'):
            raise ValueError('a call of something else than dict')
        result: dict[Any, Any] = {}
        for argument in node.args:
            result.update(_literal(argument))
        for keyword in node.keywords:
            value = _literal(keyword.value)
            result.update(
                value if keyword.arg is None else {keyword.arg: value}
            )
        return result
    if isinstance(node, ast.Dict):
        return {
            _literal(key): _literal(value)
            for key, value in zip(node.keys, node.values, strict=True)
            if key is not None
        }
    if isinstance(node, ast.List):
        return [_literal(item) for item in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_literal(item) for item in node.elts)
    return ast.literal_eval(node)
