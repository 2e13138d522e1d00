#!/usr/bin/env python
"""Compares every "Defaults to X" in docstrings with the signature."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# "name: text" at the indentation of an `Args:` section's entries.
ENTRY = re.compile(r'^ {4}(\*{0,2}\w+):', re.MULTILINE)
DEFAULT = re.compile(r'Defaults to\s+(.+?)(?:\.(?:\s|$)|$)', re.DOTALL)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def documented_defaults(docstring: str) -> dict[str, str]:
    """Reads the defaults that an ``Args:`` section names.

    Args:
        docstring: A cleaned docstring.

    Returns:
        Text of the default by argument.
    """
    match = re.search(r'^Args:\n((?: {4}.*\n?|\n)+)', docstring, re.MULTILINE)
    if match is None:
        return {}
    section = match[1]
    entries = [*ENTRY.finditer(section)]
    ends = [entry.start() for entry in entries[1:]] + [len(section)]
    found = {}
    for entry, end in zip(entries, ends, strict=True):
        default = DEFAULT.search(section[entry.end() : end])
        if default is not None:
            found[entry[1]] = ' '.join(default[1].split())
    return found


def actual_defaults(function: Function) -> dict[str, ast.expr]:
    """Reads the defaults of a signature.

    Args:
        function: The function.

    Returns:
        Expression of the default by argument.
    """
    arguments = function.args
    plain = [*arguments.posonlyargs, *arguments.args]
    named = plain[len(plain) - len(arguments.defaults) :]
    pairs = [*zip(named, arguments.defaults, strict=True)]
    for argument, default in zip(
        arguments.kwonlyargs, arguments.kw_defaults, strict=True
    ):
        if default is not None:
            pairs.append((argument, default))
    return {argument.arg: default for argument, default in pairs}


def problems_of(source: str) -> Iterator[tuple[int, str]]:
    """Finds the defaults that a module documents wrongly.

    Args:
        source: Source of the module.

    Yields:
        Line and message.
    """
    tree = ast.parse(source)
    constants = _constants(tree)
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield from _compare(node, node, constants)
        elif isinstance(node, ast.ClassDef):
            for child in node.body:
                if isinstance(child, Function) and child.name == '__init__':
                    yield from _compare(node, child, constants)


def _constants(tree: ast.Module) -> dict[str, ast.expr]:
    """Values of the module's plain assignments, by name."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign):
            targets = [node.target]
        else:
            continue
        for target in targets:
            if isinstance(target, ast.Name) and node.value is not None:
                found[target.id] = node.value
    return found


def _compare(
    documented: Function | ast.ClassDef,
    function: Function,
    constants: dict[str, ast.expr],
) -> Iterator[tuple[int, str]]:
    written = documented_defaults(ast.get_docstring(documented) or '')
    actual = actual_defaults(function)
    for name, text in written.items():
        if name not in actual:
            yield (
                documented.lineno,
                f'{documented.name}: {name} has no default, but the '
                f'docstring says {text}',
            )
        elif not _same(text, actual[name], constants):
            value = ast.unparse(actual[name])
            yield (
                documented.lineno,
                f'{documented.name}: {name} defaults to {value}, but the '
                f'docstring says {text}',
            )


def _same(
    text: str, default: ast.expr, constants: dict[str, ast.expr]
) -> bool:
    """Whether a text starts with a default; an explanation may follow."""
    if isinstance(default, ast.Name):
        if text == default.id:
            return True
        default = constants.get(default.id, default)
    try:
        value = ast.literal_eval(default)
    except ValueError:
        # Nothing to compare a computed value with.
        return True
    parts = text.split(', ')
    prefixes = (', '.join(parts[: end + 1]) for end in range(len(parts)))
    return any(_means(prefix, value) for prefix in prefixes)


def _means(text: str, value: object) -> bool:
    try:
        return bool(ast.literal_eval(text.strip('`')) == value)
    except (ValueError, SyntaxError):
        return text.strip('`"\'') == str(value)


def main() -> int:
    """Checks mmcp/ and tools/; returns the exit status."""
    count = 0
    for folder in ('mmcp', 'tools', 'benchmarks'):
        for path in sorted((ROOT / folder).rglob('*.py')):
            source = path.read_text(encoding='utf-8')
            for line, message in problems_of(source):
                print(f'{path.relative_to(ROOT)}:{line}: {message}')
                count += 1
    print(f'{count} wrong defaults in docstrings')
    return int(count > 0)


if __name__ == '__main__':
    sys.exit(main())
