"""What is particular to making configs of CP2 and MoCo small."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.config import Config

NUM_IMAGES = 8
_BATCH = 4
_SIZE = 128
_FACTOR = 8
_LAYERS = 2
_TYPES = ('mmcp.CP2', 'mmcp.MoCo')


def is_pretraining(config: Config) -> bool:
    """Whether a config trains one of these models."""
    return config.model.type in _TYPES


def shrink_pretraining(small: Config, work_dir: Path) -> None:
    """Makes model and images small, and an epoch two steps long.

    Loops by epoch, samplers, masks, augmentation and monitors stay.

    Args:
        small: Config of a leaf, changed in place.
        work_dir: Folder for the images.
    """
    _narrow(small.model)
    small.train_cfg.max_epochs = 1
    _shrink_data(small.train_dataloader, work_dir)
    for hook in small.custom_hooks:
        if 'dataset' in hook:
            _use_images(hook.dataset.dataset, work_dir / 'data' / 'images')
    # They take a GPU, and a compiler some minutes.
    small.optim_wrapper.update(type='OptimWrapper')
    for key in ('dtype', 'loss_scale'):
        small.optim_wrapper.pop(key, None)
    small.compile = False
    small.model.data_preprocessor.compile = False


def _narrow(model: dict[str, Any]) -> None:
    backbone = model['backbone']
    if backbone['type'] == 'ResNet':
        backbone['base_channels'] = (
            backbone.get('base_channels', 64) // _FACTOR
        )
    else:
        backbone['embed_dims'] //= _FACTOR
        backbone.update(img_size=_SIZE, num_layers=_LAYERS)
    for part in (model.get('decode_head', {}), model['projector']):
        for key in part:
            if key.endswith('channels'):
                part[key] //= _FACTOR
    model['queue_len'] = NUM_IMAGES
    model['bn_splits'] = min(model.get('bn_splits', 1), _BATCH // 2)


def _use_images(dataset: dict[str, Any], folder: Path) -> None:
    dataset.update(sources=str(folder), cache_file=None)
    _write_images(folder, channels=3)


def _shrink_data(loader: dict[str, Any], work_dir: Path) -> None:
    loader.update(batch_size=_BATCH, num_workers=0, persistent_workers=False)
    dataset = loader['dataset']
    dataset['size'] = _SIZE
    images = work_dir / 'data' / 'images'
    _use_images(dataset['dataset'], images)
    mask = dataset['mask']
    if isinstance(mask, Mapping) and mask['type'] == 'file':
        masks = work_dir / 'data' / 'masks'
        mask.update(folder=str(masks), images=str(images))
        _write_images(masks, channels=1)


def _write_images(folder: Path, channels: int) -> None:
    """Writes smooth noise, sizes neither square nor alike."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(channels)
    for index in range(NUM_IMAGES):
        noise = rng.integers(0, 256, (12, 16, channels), dtype=np.uint8)
        size = (160 + 8 * index, 136 - 4 * index)
        image = cv2.resize(noise, size, interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f'{index}.png'), image)
