"""Looks for a config's data before anything is built.

The runner logs the machine and the whole config before it builds the data
sets; what is wrong with them should be told above that, not below it.
"""

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS

from mmcp.engine.config import UsageError
from mmcp.engine.failures import unknown_type
from mmcp.engine.options import leaves
from mmcp.engine.segmentation_files import is_segmentation_data, missing_files
from mmcp.engine.voc_files import is_voc_data, missing_voc_files

# Keys of a config that hold data sets; the last three are those of
# CopyPasteDataset and SelfTrainingDataset.
_DATA_SETS = ('dataset', 'datasets', 'source', 'labeled', 'pseudo')


def check_data(cfg: Config, parts: Sequence[str]) -> None:
    """Refuses unknown types of data sets and missing files.

    Of segmentation data sets, every image and label map is looked for, of
    data in PASCAL VOC's layout every image and annotation; of the others, and
    of losses, the annotation file. Files behind an address or a storage
    backend, and those of data sets that find their files in a way of their
    own, are left to the data sets.

    Args:
        cfg: The config.
        parts: Which of 'train', 'val' and 'test' the run uses.

    Raises:
        UsageError: If there is no such type.
        FileNotFoundError: If a file does not exist. Of segmentation data
            sets and PASCAL VOC's, all that is missing is listed.
    """
    missing: list[str] = []
    with DATASETS.switch_scope_and_registry(
        cfg.get('default_scope')
    ) as registry:
        for dataset in _datasets(cfg, parts):
            kind = registry.get(dataset['type'])
            if kind is None:
                raise UsageError(unknown_type(registry, dataset['type']))
            if is_segmentation_data(kind):
                _require_root(dataset)
                missing += missing_files(dataset, kind)
            elif is_voc_data(kind):
                _require_root(dataset)
                missing += missing_voc_files(dataset, kind)
            elif _joins_like_mmengine(kind):
                _require_file(dataset, dataset.get('data_root') or '')
    if missing:
        raise FileNotFoundError(_listed(missing))
    readers = [f'{part}_evaluator' for part in parts]
    if 'train' in parts:
        # A loss may count classes.
        readers.append('model')
    for key in readers:
        for _, node in leaves(cfg.get(key), ''):
            if isinstance(node, Mapping):
                _require_file(node, '')


def _datasets(
    cfg: Config, parts: Sequence[str]
) -> Iterator[Mapping[str, Any]]:
    for part in parts:
        loader = cfg.get(f'{part}_dataloader') or {}
        for place, node in leaves(loader.get('dataset'), 'dataset'):
            # A pipeline may hold types of other registries.
            inside = {'pipeline', 'transforms'} & set(place.split('.'))
            named = isinstance(node, Mapping) and isinstance(
                node.get('type'), str
            )
            nested = place.rstrip('.0123456789').rpartition('.')[2]
            if named and not inside and nested in _DATA_SETS:
                yield node


def _joins_like_mmengine(kind: Any) -> bool:
    own = getattr(kind, '_join_prefix', None)
    return own is BaseDataset._join_prefix


def _require_root(node: Mapping[str, Any]) -> None:
    root = node.get('data_root')
    if not root or ':' in root or node.get('backend_args'):
        return
    if not os.path.isdir(root):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), root)


def _listed(missing: Sequence[str]) -> str:
    # Validation and test are often on the same files.
    lines = [f'  {line}' for line in dict.fromkeys(missing)]
    return '\n'.join(
        [
            'Files of the data sets are missing:',
            *lines,
            'Complete the data, or change the paths with --cfg-options.',
        ]
    )


def _require_file(node: Mapping[str, Any], root: str) -> None:
    name = node.get('ann_file')
    if not isinstance(name, str) or not name or node.get('backend_args'):
        return
    path = os.path.join(root, name)
    if ':' not in path and not os.path.exists(path):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
