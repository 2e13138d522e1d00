"""The data sets that are compared, and the least that any of them must do."""

import random
from collections.abc import Callable
from typing import Any

import cv2
import mmdet.datasets  # noqa: F401  (registers)
import numpy as np
import torch
from mmengine.registry import DATASETS, init_default_scope

from copy_paste_speed.images import Images

MMDET = 'MMDetection'
OURS = 'mmcp'
CACHED = 'mmcp, jittered sources cached'
DECODED = 'mmcp, decoded sources cached'
FLOOR = 'floor: 2 decodes, 1 canvas'

SIZE = 1024
_RATIO_RANGE = (0.1, 2.0)
_GRAY = (104, 116, 124)
# As many as fit into half a gigabyte once they are jittered.
CACHE_SIZE = 64


class Floor:
    """Decodes two JPEGs and writes one canvas; no method can do with less.

    Args:
        images: The images.
    """

    def __init__(self, images: Images) -> None:
        self.paths = images.paths()

    def __len__(self) -> int:
        """Number of images."""
        return len(self.paths)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """An empty canvas, packed."""
        for path in (self.paths[index], random.choice(self.paths)):
            content = np.fromfile(path, np.uint8)
            cv2.imdecode(content, cv2.IMREAD_COLOR)
        canvas = np.empty((SIZE, SIZE, 3), np.uint8)
        canvas.fill(_GRAY[0])
        return {'inputs': torch.from_numpy(canvas).permute(2, 0, 1)}


def mmdet_dataset(images: Images) -> Any:
    """MMDetection's large scale jitter and Copy-Paste.

    Args:
        images: The images.

    Returns:
        The data set; a sample is packed.
    """
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
        dict(
            type='RandomResize',
            scale=(SIZE, SIZE),
            ratio_range=_RATIO_RANGE,
            keep_ratio=True,
        ),
        dict(
            type='RandomCrop',
            crop_type='absolute',
            crop_size=(SIZE, SIZE),
            recompute_bbox=True,
            allow_negative_crop=True,
        ),
        dict(
            type='FilterAnnotations',
            min_gt_bbox_wh=(1e-2, 1e-2),
            keep_empty=False,
        ),
        dict(type='RandomFlip', prob=0.5),
        dict(type='Pad', size=(SIZE, SIZE), pad_val=dict(img=_GRAY)),
    ]
    return _build(
        dict(
            type='MultiImageMixDataset',
            dataset=images.dataset(pipeline),
            pipeline=[
                dict(type='CopyPaste', max_num_pasted=100),
                dict(type='PackDetInputs'),
            ],
        )
    )


def _loading() -> list[dict[str, Any]]:
    return [
        dict(type='LoadImageFromFile'),
        dict(type='mmcp.LoadAnnotations', with_bbox=True, with_mask=True),
    ]


def _jitter() -> dict[str, Any]:
    return dict(
        type='mmcp.ScaleJitter',
        size=(SIZE, SIZE),
        ratio_range=_RATIO_RANGE,
        pad_val=_GRAY,
    )


def our_dataset(images: Images) -> Any:
    """The same in this package, without a cache.

    Args:
        images: The images.

    Returns:
        The data set; a sample is packed.
    """
    return _build(
        dict(
            type='mmcp.CopyPasteDataset',
            dataset=images.dataset([*_loading(), _jitter()]),
        )
    )


def cached_dataset(images: Images) -> Any:
    """The same with a cache of sources that are jittered already.

    Args:
        images: The images.

    Returns:
        The data set; a sample is packed.
    """
    return _build(
        dict(
            type='mmcp.CopyPasteDataset',
            dataset=images.dataset([*_loading(), _jitter()]),
            cache=CACHE_SIZE,
        )
    )


def decoded_dataset(images: Images) -> Any:
    """The same with a cache of decoded sources, each jittered anew.

    Args:
        images: The images.

    Returns:
        The data set; a sample is packed.
    """
    return _build(
        dict(
            type='mmcp.CopyPasteDataset',
            dataset=images.dataset([*_loading(), _jitter()]),
            source=images.dataset(_loading()),
            source_pipeline=[_jitter()],
            cache=CACHE_SIZE,
        )
    )


def _build(config: dict[str, Any]) -> Any:
    init_default_scope('mmdet')
    return DATASETS.build(config)


MAKERS: dict[str, Callable[[Images], Any]] = {
    MMDET: mmdet_dataset,
    OURS: our_dataset,
    CACHED: cached_dataset,
    DECODED: decoded_dataset,
    FLOOR: Floor,
}


def run_on_one_core() -> None:
    """Keeps OpenCV and torch from starting threads."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def make_repeatable(number: int) -> int:
    """Seeds what the pipelines draw from, for one sample.

    Args:
        number: Number of the sample.

    Returns:
        The same number.
    """
    random.seed(number)
    np.random.seed(number)  # noqa: NPY002
    return number
