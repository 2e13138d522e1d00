"""COCO categories for the classes of a detector."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmcp.engine.config import UsageError
from mmcp.engine.nearest import did_you_mean

Category = dict[str, Any]


def find_categories(
    classes: Sequence[str],
    file: str | None,
    present: Iterable[Mapping[str, Any]],
) -> list[Category]:
    """Gives every class a category, so that data sets can be put together.

    Training goes by the names, so that any ids will do; those of the
    labelled data are the least surprising.

    Args:
        classes: Names of the K classes.
        file: A COCO file that has categories of these names, or None.
        present: Categories that came with the images; they are taken if
            there is no file and they have all names.

    Returns:
        K categories in the order of the classes: those of the file, those
        present, or else with the ids 1 to K.

    Raises:
        UsageError: If the file does not exist or lacks a class.
    """
    if file is not None:
        known = _by_name(_read(Path(file)))
        for name in classes:
            if name not in known:
                raise UsageError(
                    f"{file} has no category '{name}'."
                    f'{did_you_mean(name, known)}'
                )
        return [known[name] for name in classes]
    known = _by_name(present)
    if all(name in known for name in classes):
        return [known[name] for name in classes]
    return [dict(id=i, name=name) for i, name in enumerate(classes, 1)]


def _by_name(categories: Iterable[Mapping[str, Any]]) -> dict[str, Category]:
    return {str(c['name']): dict(c) for c in categories}


def _read(path: Path) -> list[Category]:
    if not path.is_file():
        raise UsageError(f'{path} with categories does not exist.')
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise UsageError(f'{path} is no JSON file: {error}') from None
    found = content.get('categories') if isinstance(content, dict) else None
    if not found:
        raise UsageError(f"{path} has no list 'categories'.")
    return list(found)
