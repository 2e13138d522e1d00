"""Reading JSON files of a gigabyte without holding all of them as objects."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from json import JSONDecodeError
from pathlib import Path
from typing import Any

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r'[ \t\n\r]*')


def read_object(
    path: str | Path, convert: Mapping[str, Callable[[Any], Any]]
) -> dict[str, Any]:
    """Reads a JSON object, such as an annotation file of COCO or LVIS.

    The elements of long lists are converted one by one, so that nothing is
    in memory but the file's text and what they are converted to: a number of
    a polygon takes 32 bytes as a Python object, and 8 in an array.

    Args:
        path: UTF-8 file.
        convert: Keys whose values are lists, with a function of one element.

    Returns:
        The object; for each key in ``convert`` that it has, the list of what
        the function gave.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds no JSON object, or if the value of a key in
            ``convert`` is no list; the error names the file and the place.
    """
    text = _Text(Path(path).read_text(encoding='utf-8'))
    found: dict[str, Any] = {}
    try:
        for _ in text.members('{', '}'):
            key = text.value()
            text.expect(':')
            if key in convert:
                items = text.members('[', ']')
                found[key] = [convert[key](text.value()) for _ in items]
            else:
                found[key] = text.value()
        text.expect_end()
    except JSONDecodeError as error:
        raise ValueError(
            f'{path} holds no JSON object with lists of '
            f'{", ".join(convert)}: {error}'
        ) from error
    return found


class _Text:
    """A JSON text and how far it has been read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0

    def members(self, start: str, end: str) -> Iterator[None]:
        """Stops before each member of a list or object, then behind it."""
        self.expect(start)
        if self._take(end):
            return
        yield
        while self._take(','):
            yield
        self.expect(end)

    def value(self) -> Any:
        """Reads a value of any kind."""
        self._skip()
        value, self.place = _DECODER.raw_decode(self.text, self.place)
        return value

    def expect(self, character: str) -> None:
        """Goes past a character that must stand here."""
        if not self._take(character):
            raise JSONDecodeError(
                f"Expecting '{character}'", self.text, self.place
            )

    def expect_end(self) -> None:
        """Refuses what stands behind the object."""
        self._skip()
        if self.place != len(self.text):
            raise JSONDecodeError('Extra data', self.text, self.place)

    def _take(self, character: str) -> bool:
        self._skip()
        found = self.text.startswith(character, self.place)
        self.place += found
        return found

    def _skip(self) -> None:
        match = _SPACE.match(self.text, self.place)
        assert match is not None
        self.place = match.end()
