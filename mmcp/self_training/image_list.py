"""The images that are to be labelled."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmcp.datasets.image_folder import list_images
from mmcp.datasets.packed_strings import PackedStrings, PackedStringsBuilder
from mmcp.engine.config import UsageError

Entry = dict[str, Any]


@dataclass(frozen=True)
class ImageList:
    """Images of a folder or of a COCO file.

    Attributes:
        root: Folder that file names start from.
        entries: For each image the JSON of its entry in a COCO file: ``id``
            and ``file_name`` at least. Packed, as there may be millions.
        categories: Those of the COCO file, () if it has none.
    """

    root: str
    entries: PackedStrings
    categories: tuple[Entry, ...] = ()

    def __len__(self) -> int:
        """Number of images."""
        return len(self.entries)

    def __getitem__(self, index: int) -> Entry:
        """One image's entry.

        Args:
            index: From 0 to ``len - 1``.

        Returns:
            A new dictionary.
        """
        entry: Entry = json.loads(self.entries[index])
        return entry

    @property
    def digest(self) -> str:
        """SHA-256 of all entries."""
        return hashlib.sha256(self.entries.data.tobytes()).hexdigest()

    def path(self, entry: Entry) -> str:
        """Where an image is.

        Args:
            entry: Its entry.

        Returns:
            Its path.
        """
        return os.path.join(self.root, entry['file_name'])


def read_image_list(
    images: str | os.PathLike[str], root: str | None = None
) -> ImageList:
    """Lists the images of a folder or of a COCO file.

    Args:
        images: A folder, with all folders below it (ids follow the order of
            the paths, from 1), or a ``.json`` file with a list ``images`` of
            COCO's form; its annotations are not looked at.
        root: Folder of the images of a COCO file. Defaults to None, the
            folder of the file.

    Returns:
        The images.

    Raises:
        UsageError: If there are none, or if a file is not of COCO's form.
        FileNotFoundError: If the folder or the file does not exist, or a
            file's first image is not where it should be.
    """
    path = Path(images)
    if path.is_dir():
        return _from_folder(path, root)
    if not path.is_file():
        raise FileNotFoundError(2, 'No such file or directory', str(path))
    return _from_file(path, str(path.parent) if root is None else root)


def _from_folder(folder: Path, root: str | None) -> ImageList:
    if root is not None:
        raise UsageError(
            f'{folder} is a folder, so its images are in it; a folder of '
            'images is given beside a JSON file only.'
        )
    names = list_images(str(folder), None)
    if not names:
        raise UsageError(f'There are no images in {folder}.')
    entries = (
        dict(id=number, file_name=name) for number, name in enumerate(names, 1)
    )
    return ImageList(str(folder), _packed(entries))


def _from_file(path: Path, root: str) -> ImageList:
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise UsageError(
            f'{path} is neither a folder nor a JSON file: {error}'
        ) from None
    entries = content.get('images') if isinstance(content, dict) else None
    if not isinstance(entries, list) or not entries:
        raise UsageError(
            f"{path} has no list 'images', as COCO's files have, or an empty "
            'one.'
        )
    first = os.path.join(root, next(_checked(path, entries))['file_name'])
    if not os.path.exists(first):
        raise UsageError(
            f'The first image of {path} would be {first}, which does not '
            'exist; say with --image-root in which folder the images are.'
        )
    categories = tuple(content.get('categories', ()))
    return ImageList(root, _packed(_checked(path, entries)), categories)


def _checked(path: Path, entries: Iterable[Entry]) -> Iterator[Entry]:
    seen = set()
    for entry in entries:
        if not isinstance(entry, dict) or not {'id', 'file_name'} <= set(
            entry
        ):
            raise UsageError(
                f"{path}: every image needs 'id' and 'file_name', but one is "
                f'{entry!r}'
            )
        if entry['id'] in seen:
            raise UsageError(f'{path}: two images have the id {entry["id"]}.')
        seen.add(entry['id'])
        yield entry


def _packed(entries: Iterable[Entry]) -> PackedStrings:
    builder = PackedStringsBuilder()
    for entry in entries:
        builder.append(json.dumps(entry).encode())
    return builder.build()
