"""What is particular to making configs of segmentors small."""

from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import DefaultScope
from narrow_pyramid import narrow_pyramid
from tiny_segmentation import make_tiny_segmentation

from mmcp.engine.options import leaves

STEPS = 2
_SIZE = 64
_FACTOR = 8
_LAYERS = 2
_BATCH = 2
_SIZE_KEYS = {'scale', 'crop_size'}


def is_segmentation(config: Config) -> bool:
    """Whether a config trains a segmentor."""
    return config.model.type == 'EncoderDecoder'


def shrink_segmentation(small: Config, work_dir: Path) -> None:
    """Makes model and images small and the training two steps long.

    The data sets are made in the folders that the config names, below the
    work directory; evaluation follows the last step.

    Args:
        small: Config of a leaf, changed in place.
        work_dir: Folder for the data sets.
    """
    _narrow(small.model)
    with DefaultScope.overwrite_default_scope('mmseg'):
        for key in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
            _shrink_loader(small[key], work_dir)
    small.train_cfg.update(max_iters=STEPS, val_interval=STEPS)
    # What was best is known without a file of it.
    small.default_hooks.checkpoint.pop('save_best', None)


def _narrow(model: dict[str, Any]) -> None:
    backbone, head = model['backbone'], model['decode_head']
    head['channels'] //= _FACTOR
    preprocessor = model['data_preprocessor']
    preprocessor['size'] = _smaller(preprocessor['size'])
    if backbone['type'] == 'MobileNetV2':
        # It is small, and its channels are not for a config to choose.
        return
    if 'neck' in model:
        narrow_pyramid(model, ['decode_head'])
        return
    head['in_channels'] //= _FACTOR
    if backbone['type'] == 'ResNet':
        backbone['base_channels'] = 64 // _FACTOR
    else:
        backbone['embed_dims'] //= _FACTOR
        backbone['num_layers'] = _LAYERS
        backbone['img_size'] = _smaller(backbone['img_size'])


def _smaller(size: tuple[int, int]) -> tuple[int, int]:
    """The same proportions, the shorter side as in the reduced images."""
    return tuple(_SIZE * side // min(size) for side in size)


def _shrink_loader(loader: dict[str, Any], work_dir: Path) -> None:
    loader.update(num_workers=0, persistent_workers=False)
    loader['batch_size'] = min(loader['batch_size'], _BATCH)
    nodes = [node for _, node in leaves(loader['dataset'], '')]
    for node in nodes:
        if not isinstance(node, dict):
            continue
        for key in _SIZE_KEYS & node.keys():
            node[key] = _smaller(node[key])
        if 'data_prefix' in node:
            node['data_root'] = str(
                make_tiny_segmentation(node, work_dir / 'files')
            )
