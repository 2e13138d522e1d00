"""Any shipped config, made small enough for two training steps on a CPU.

The structure stays: same classes (but few of LVIS), transforms, loops, heads.
Channels are divided, images are small, and the data are a few random shapes.
"""

import copy
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmdet.datasets import CocoDataset
from mmengine.config import Config
from mmengine.runner import Runner
from narrow_pyramid import map_ints, narrow_pyramid
from reduce_pretraining import is_pretraining, shrink_pretraining
from reduce_segmentation import is_segmentation, shrink_segmentation
from tiny_coco import make_tiny_coco
from tiny_voc import make_tiny_voc

STEPS = 2
IMAGE_SIZE = 128
_MANY_CLASSES, _FEW_CLASSES = 1000, 20
_SIZE_KEYS = {'scale', 'crop_size', 'size'}


@dataclass(frozen=True)
class Steps:
    """What a reduced training gave.

    Args:
        losses: Total loss of every step.
        changed: Fraction of the trainable parameters that moved.
        metrics: What the evaluation gave, by ``val/`` name.
    """

    losses: list[float]
    changed: float
    metrics: dict[str, float]


def reduce_config(config: Config, work_dir: Path) -> Config:
    """Makes a config small and points it at a tiny data set.

    Args:
        config: Config of a leaf; not changed.
        work_dir: Folder for the data set, logs and results.

    Returns:
        The small config.
    """
    small = copy.deepcopy(config)
    for node in _dicts(small.model):
        _forget_weights(node)
        _unsync(node)
    _shrink_of(small)(small, work_dir)
    small.default_hooks.checkpoint.update(interval=-1, save_last=False)
    small.default_hooks.logger.update(interval=1)
    small.randomness = dict(seed=0)
    # mmengine keeps one visualizer per name for the life of the process.
    small.visualizer.name = work_dir.name
    small.load_from = None
    small.work_dir = str(work_dir)
    small.log_level = 'ERROR'
    return small


def _shrink_of(config: Config) -> Callable[[Config, Path], None]:
    """What is particular to a config's kind of model."""
    if is_pretraining(config):
        return shrink_pretraining
    if is_segmentation(config):
        return shrink_segmentation
    return _shrink_detector


def train_reduced(config: Config) -> Steps:
    """Trains a reduced config for its two steps.

    Detectors and segmentors are evaluated afterwards.

    Args:
        config: Result of :func:`reduce_config`.

    Returns:
        What the steps gave.

    Raises:
        FloatingPointError: If a loss is not finite.
    """
    runner = Runner.from_cfg(config)
    before = [p.detach().clone() for p in _trainable(runner)]
    runner.train()
    history = runner.message_hub.get_scalar('train/loss')
    losses = [float(v) for v in history.data[0]]
    if not all(map(math.isfinite, losses)):
        raise FloatingPointError(f'losses are {losses}')
    moved = [
        not bool((old == new).all())
        for old, new in zip(before, _trainable(runner), strict=True)
    ]
    metrics = {
        name: float(scalar.current())
        for name, scalar in runner.message_hub.log_scalars.items()
        if name.startswith('val/')
    }
    return Steps(losses, sum(moved) / len(moved), metrics)


def _trainable(runner: Runner) -> Iterator[Any]:
    return (p for p in runner.model.parameters() if p.requires_grad)


def _dicts(node: Any) -> Iterator[dict[str, Any]]:
    """Yields every dict in a tree of dicts and sequences, outermost first."""
    if isinstance(node, dict):
        yield node
        for value in list(node.values()):
            yield from _dicts(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _dicts(value)


def _shrink_detector(small: Config, work_dir: Path) -> None:
    narrow_pyramid(small.model, ['rpn_head', 'roi_head'])
    _score_everything(small.model)
    _leave_few_classes(small.model)
    _count_by_hand(small.model)
    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        _shrink_loader(small[key])
        _use_tiny_data(small[key], work_dir / 'data', small.model)
    _make_endless(small.train_dataloader)
    for key in ('val_evaluator', 'test_evaluator'):
        for node in _dicts(small[key]):
            if 'ann_file' in node:
                node['ann_file'] = str(work_dir / 'data' / 'instances.json')
    small.train_cfg = dict(
        type='IterBasedTrainLoop', max_iters=STEPS, val_interval=STEPS
    )


def _forget_weights(node: dict[str, Any]) -> None:
    init = node.get('init_cfg')
    if isinstance(init, dict) and 'checkpoint' in init:
        node['init_cfg'] = None


def _unsync(node: dict[str, Any]) -> None:
    """Replaces synchronised normalisation, which a CPU process cannot run."""
    if node.get('type') in ('SyncBN', 'MMSyncBN'):
        node['type'] = 'BN'


def _score_everything(model: dict[str, Any]) -> None:
    """Lets an untrained model report objects, so that evaluation runs."""
    model['test_cfg']['rcnn']['score_thr'] = 0.0


def _leave_few_classes(model: dict[str, Any]) -> None:
    """Replaces LVIS's 1,203 classes, whose masks alone take a gigabyte."""
    for node in _dicts(model['roi_head']):
        if node.get('num_classes', 0) > _MANY_CLASSES:
            node['num_classes'] = _FEW_CLASSES


def _count_by_hand(model: dict[str, Any]) -> None:
    """Replaces the file in which a loss counts instances by counts."""
    for head in _dicts(model['roi_head']):
        loss = head.get('loss_cls')
        if loss is not None and loss.pop('ann_file', None) is not None:
            loss['counts'] = [1 + i for i in range(head['num_classes'])]


def _shrink_loader(loader: dict[str, Any]) -> None:
    loader.update(num_workers=0, persistent_workers=False)
    loader['batch_size'] = min(loader['batch_size'], 2)
    for node in _dicts(loader['dataset']):
        for key in _SIZE_KEYS & node.keys():
            node[key] = map_ints(node[key], lambda v: min(v, IMAGE_SIZE))


def _make_endless(loader: dict[str, Any]) -> None:
    """Replaces a sampler that would end before the steps do."""
    endless = ('InfiniteSampler', 'MultiSourceSampler', 'RepeatFactorSampler')
    if not loader['sampler']['type'].endswith(endless):
        loader['sampler'] = dict(type='mmcp.InfiniteSampler')


def _use_tiny_data(
    loader: dict[str, Any], root: Path, model: dict[str, Any]
) -> None:
    for node in _dicts(loader['dataset']):
        if 'ann_file' not in node:
            continue
        if node['type'] == 'VOCDataset':
            node['data_root'] = str(make_tiny_voc(node, root))
            continue
        if node['type'] == 'mmcp.LVISDataset':
            make_tiny_coco(root, _lvis_names(model))
            _describe_as_lvis(root / 'instances.json')
        else:
            info = node.get('metainfo') or CocoDataset.METAINFO
            make_tiny_coco(root, info['classes'])
        node.update(
            data_root=str(root),
            ann_file='instances.json',
            data_prefix=dict(img='images/'),
            indices=None,
        )


def _lvis_names(model: dict[str, Any]) -> list[str]:
    """As many names as the model has classes; the real ones are in a file."""
    heads = model['roi_head']['bbox_head']
    head = heads[0] if isinstance(heads, list) else heads
    return [f'class {i}' for i in range(head['num_classes'])]


def _describe_as_lvis(ann_file: Path) -> None:
    """Adds what files of LVIS tell of categories and images."""
    data = json.loads(ann_file.read_text())
    for index, category in enumerate(data['categories']):
        category['frequency'] = 'rcf'[index % 3]
    for image in data['images']:
        image.update(neg_category_ids=[1], not_exhaustive_category_ids=[2])
    ann_file.write_text(json.dumps(data))
