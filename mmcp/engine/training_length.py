"""Options that make a training longer or shorter, or its data set smaller."""

import math
import os
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config

from mmcp.engine.config import UsageError
from mmcp.large_json import read_object

Options = dict[str, Any]

# Where all configs expect it; it need not be read, nor be there.
_COCO = 'data/coco/annotations/instances_train2017.json'
_COCO_IMAGES = 118_287


def length_options(cfg: Config, steps: int) -> Options:
    """Says how to train for another number of steps.

    The warm-up stays as it is, everything else keeps its share of the
    training: the learning rate still falls at 0.9, 0.95 and 0.975 of it.

    Args:
        cfg: A config that is trained by steps.
        steps: Number of steps.

    Returns:
        Dotted keys and values, for ``--cfg-options``.

    Raises:
        UsageError: If the config is trained by epochs, or if the training
            would end before the warm-up does.
    """
    before = cfg.train_cfg.get('max_iters')
    if before is None:
        raise UsageError(
            f'{cfg.filename} is trained by epochs; set train_cfg.max_epochs '
            'and its schedulers'
        )
    options: Options = {'train_cfg.max_iters': steps}
    for index, scheduler in enumerate(cfg.param_scheduler):
        key = f'param_scheduler.{index}'
        if scheduler.end < before:
            if scheduler.end >= steps:
                raise UsageError(
                    f'{steps:,} steps are over before the warm-up, which '
                    f'takes {scheduler.end:,}'
                )
            continue
        options[f'{key}.end'] = steps
        if 'milestones' in scheduler:
            options[f'{key}.milestones'] = [
                round(milestone * steps / before)
                for milestone in scheduler.milestones
            ]
    return options


def annotation_options(cfg: Config, ann_file: str) -> Options:
    """Says how to train on another annotation file of the same images.

    Args:
        cfg: A config.
        ann_file: The file, as in the config: absolute or below its
            ``data_root``.

    Returns:
        Dotted keys and values, for ``--cfg-options``.
    """
    return {f'{key}.ann_file': ann_file for key, _ in _readers(cfg)}


def steps_of(cfg: Config, epochs: float, ann_file: str | None = None) -> int:
    """Counts the steps of some epochs.

    Args:
        cfg: A config with ``auto_scale_lr.base_batch_size``.
        epochs: Number of epochs.
        ann_file: See :func:`annotation_options`. Defaults to None, meaning
            that of the config.

    Returns:
        Number of steps.

    Raises:
        UsageError: If the training data are no single COCO file.
        FileNotFoundError: If it does not exist.
    """
    (_, reader), *_ = _readers(cfg)
    ann_file = reader.ann_file if ann_file is None else ann_file
    path = os.path.join(reader.get('data_root') or '', ann_file)
    images = _COCO_IMAGES if path == _COCO else _count_images(path)
    batch: int = cfg.auto_scale_lr.base_batch_size
    return math.ceil(epochs * images / batch)


def _count_images(path: str) -> int:
    def skip(_: Any) -> None:
        return None

    try:
        content = read_object(path, {'images': skip, 'annotations': skip})
    except ValueError as error:
        raise UsageError(str(error)) from error
    if not content.get('images'):
        raise UsageError(f"{path} has no images; it must be of COCO's form")
    return len(content['images'])


def _readers(cfg: Config) -> list[tuple[str, Any]]:
    """The data sets that read an annotation file, with their keys."""
    key = 'train_dataloader.dataset'
    found = list(_below(key, cfg.train_dataloader.dataset))
    files = {reader.ann_file for _, reader in found}
    if len(files) != 1:
        raise UsageError(
            f'{cfg.filename} trains on {len(files)} annotation files, not on '
            'one; set the key of each by --cfg-options'
        )
    return found


def _below(key: str, node: Any) -> Iterator[tuple[str, Any]]:
    if 'ann_file' in node:
        yield key, node
    for name in ('dataset', 'source'):
        if node.get(name) is not None:
            yield from _below(f'{key}.{name}', node[name])
