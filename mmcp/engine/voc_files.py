"""Which files of a data set in PASCAL VOC's layout are missing.

MMDetection reads the list and every annotation when the data set is built,
and each image when a worker comes to it, which may be hours later.
"""

import os
from collections.abc import Mapping
from typing import Any

from mmcp.engine.absent_files import absent_files
from mmcp.engine.dataset_arguments import argument_of, keeps_methods

_BASE = 'XMLDataset'


def is_voc_data(kind: Any) -> bool:
    """Whether a data set finds its files as MMDetection's VOC does.

    Args:
        kind: Class of the data set.

    Returns:
        True if it is an ``XMLDataset`` that neither joins its paths nor
        lists its images in a way of its own.
    """
    return keeps_methods(
        kind, _BASE, ('_join_prefix', 'load_data_list', 'parse_data_info')
    )


def missing_voc_files(dataset: Mapping[str, Any], kind: Any) -> list[str]:
    """Looks for the list, and every image and annotation that it names.

    What lies behind an address or a storage backend is left alone.

    Args:
        dataset: Config of a data set that :func:`is_voc_data`.
        kind: Its class.

    Returns:
        One line for each kind of thing that is missing, the first missing
        names in it; empty if nothing is.
    """
    root = dataset.get('data_root') or ''
    prefix = dataset.get('data_prefix') or {}
    home = os.path.join(root, prefix.get('sub_data_root', ''))
    listed = os.path.join(root, dataset.get('ann_file') or '')
    if dataset.get('backend_args') or ':' in home or ':' in listed:
        return []
    if not os.path.isfile(listed):
        return [f'no list {listed}']
    with open(listed, encoding='utf-8') as file:
        names = [line.rstrip('\r\n') for line in file]
    return [
        line
        for words, folder, suffix in (
            ('images', argument_of(dataset, kind, 'img_subdir'), '.jpg'),
            ('annotations', argument_of(dataset, kind, 'ann_subdir'), '.xml'),
        )
        for line in absent_files(
            [os.path.join(home, folder, name + suffix) for name in names],
            words,
            listed,
        )
    ]
