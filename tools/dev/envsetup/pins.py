"""The pinned versions: every package once, in three readable files."""

import re
from collections.abc import Iterator
from pathlib import Path

from envsetup.shell import SetupError

FILES = ('runtime.txt', 'dev.txt', 'transitive.txt')
PIN = re.compile(r'([A-Za-z0-9][\w.-]*)==([\w.!+]+)')


def read_pins(folder: Path) -> dict[str, str]:
    """Reads the requirement files.

    Args:
        folder: ``requirements/``.

    Returns:
        Version of every package, by its normalised name.

    Raises:
        SetupError: If a file is missing, or a line is not ``NAME==VERSION``
            or names a package for the second time.
    """
    pins: dict[str, str] = {}
    for place, name, version in _lines(folder):
        if name in pins:
            raise SetupError(f'{place}: {name} is pinned already')
        pins[name] = version
    return pins


def normalise(name: str) -> str:
    """Returns a distribution's name as package indexes compare it."""
    return re.sub(r'[-_.]+', '-', name).lower()


def _lines(folder: Path) -> Iterator[tuple[str, str, str]]:
    for file in FILES:
        try:
            text = (folder / file).read_text(encoding='utf-8')
        except FileNotFoundError:
            raise SetupError(f'requirements/{file} is missing') from None
        for number, line in enumerate(text.splitlines(), 1):
            if not line or line.startswith('#'):
                continue
            place = f'requirements/{file}, line {number}'
            match = PIN.fullmatch(line)
            if match is None:
                raise SetupError(f'{place}: {line!r} is not NAME==VERSION')
            yield place, normalise(match[1]), match[2]
