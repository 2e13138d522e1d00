"""Which files of a segmentation data set are missing.

MMSegmentation reads a list or a folder when it is built, and each image and
label map when a worker comes to it, which may be hours later.
"""

import os
from collections.abc import Mapping
from typing import Any

from mmcp.engine.absent_files import absent_files
from mmcp.engine.dataset_arguments import argument_of, keeps_methods
from mmcp.engine.options import leaves

_BASE = 'BaseSegDataset'


def is_segmentation_data(kind: Any) -> bool:
    """Whether a data set finds its files as MMSegmentation's do.

    Args:
        kind: Class of the data set.

    Returns:
        True if it is a ``BaseSegDataset`` that neither joins its paths nor
        lists its images in a way of its own.
    """
    return keeps_methods(kind, _BASE, ('_join_prefix', 'load_data_list'))


def missing_files(dataset: Mapping[str, Any], kind: Any) -> list[str]:
    """Looks for the list, the folders, and every image and label map.

    Folders are listed once, so that it takes moments for a large data set.
    Label maps are looked for if the pipeline loads them. What lies behind an
    address or a storage backend is left alone.

    Args:
        dataset: Config of a data set that :func:`is_segmentation_data`.
        kind: Its class.

    Returns:
        One line for each kind of thing that is missing, the first missing
        names in it; empty if nothing is.
    """
    places = _places(dataset)
    if dataset.get('backend_args') or any(':' in p for p in places.values()):
        return []
    if not _loads_labels(dataset):
        places.pop('seg_map_path', None)
    problems = [
        f'no folder {places[key]}'
        for key in ('img_path', 'seg_map_path')
        if key in places and not os.path.isdir(places[key])
    ]
    suffixes = {
        'img_path': argument_of(dataset, kind, 'img_suffix'),
        'seg_map_path': argument_of(dataset, kind, 'seg_map_suffix'),
    }
    origin, names = _names(places, suffixes['img_path'])
    if names is None:
        return [*problems, f'no list {origin}']
    if not names and os.path.exists(origin):
        kind = f'*{suffixes["img_path"]}' if os.path.isdir(origin) else 'names'
        problems.append(f'no {kind} in {origin}')
    if '' in names:
        # It would be taken for an image without a name.
        problems.append(f'line {names.index("") + 1:,} of {origin} is empty')
        names = [name for name in names if name]
    for key, words in (('img_path', 'images'), ('seg_map_path', 'label maps')):
        if key in places and os.path.isdir(places[key]):
            paths = [
                os.path.join(places[key], name + suffixes[key])
                for name in names
            ]
            problems += absent_files(paths, words, origin)
    return problems


def _places(dataset: Mapping[str, Any]) -> dict[str, str]:
    """The paths of the list and of the folders, joined as mmengine does."""
    root = dataset.get('data_root') or ''
    prefix = dataset.get('data_prefix') or {}
    found = {
        'ann_file': dataset.get('ann_file'),
        'img_path': prefix.get('img_path', ''),
        'seg_map_path': prefix.get('seg_map_path'),
    }
    return {
        key: os.path.join(root, path)
        for key, path in found.items()
        if isinstance(path, str) and (path or key != 'ann_file')
    }


def _loads_labels(dataset: Mapping[str, Any]) -> bool:
    return any(
        isinstance(value, str) and value.endswith('LoadAnnotations')
        for place, value in leaves(dataset.get('pipeline'), '')
        if place.endswith('.type')
    )


def _names(
    places: Mapping[str, str], suffix: str
) -> tuple[str, list[str] | None]:
    """Where the names of the images come from, and the names.

    Returns:
        - The list, or the folder of images.
        - Names without suffix; None if there is no such list.
    """
    path = places.get('ann_file')
    if path is not None and not os.path.isdir(path):
        if not os.path.isfile(path):
            return path, None
        with open(path, encoding='utf-8') as file:
            return path, [line.strip() for line in file]
    folder = places['img_path']
    files = (
        os.path.relpath(os.path.join(parent, file), folder)
        for parent, _, found in os.walk(folder, followlinks=True)
        for file in found
        if file.endswith(suffix)
    )
    return folder, sorted(file.removesuffix(suffix) for file in files)
