"""A recipe of ours on MMDetection's data path."""

import copy
from typing import Any

from mmengine.config import Config

Step = dict[str, Any]

_GRAY = (104, 116, 124)


def on_stock_path(config: Config) -> Config:
    """Replaces mmcp's loading, jitter, wrapper, packing and sampler.

    The reverse of ``tools/converters/migrate_config.py``. What is drawn has
    the same distribution and Copy-Paste stays ``mmcp.CopyPaste``, but masks
    are bitmaps of whole images. ``RandomCrop`` makes all boxes from masks,
    ``mmcp.ScaleJitter`` only those of objects that it cuts.

    Args:
        config: A shipped config with Copy-Paste; not changed.

    Returns:
        The same recipe.

    Raises:
        ValueError: If the config does not paste onto every image from the
            same data set.
    """
    out = copy.deepcopy(config)
    loader = out.train_dataloader
    wrapper = loader.dataset.to_dict()
    if wrapper.get('prob', 1.0) != 1 or wrapper.get('source') is not None:
        raise ValueError(
            'MultiImageMixDataset pastes onto every image, from its own data '
            'set; the config must have prob=1.0 and no source'
        )
    inner = wrapper['dataset']
    steps = [new for old in inner['pipeline'] for new in _stock_steps(old)]
    paste = dict(type='mmcp.CopyPaste', **wrapper.get('copy_paste', {}))
    packing = [new for old in wrapper['pipeline'] for new in _stock_steps(old)]
    loader.sampler.type = 'InfiniteSampler'
    loader.dataset = dict(
        type='MultiImageMixDataset',
        dataset={**inner, 'pipeline': steps},
        pipeline=[paste, *packing],
    )
    return out


def _stock_steps(step: Step) -> list[Step]:
    """The transforms of MMDetection that do what one of ours does."""
    if step['type'] == 'mmcp.ScaleJitter':
        arguments = {
            key: value for key, value in step.items() if key != 'type'
        }
        return _stock_jitter(**arguments)
    if step['type'] in ('mmcp.LoadAnnotations', 'mmcp.PackDetInputs'):
        return [{**step, 'type': step['type'].removeprefix('mmcp.')}]
    return [step]


def _stock_jitter(
    size: int,
    ratio_range: tuple[float, float],
    flip_prob: float = 0.5,
) -> list[Step]:
    square = (size, size)
    flip = [dict(type='RandomFlip', prob=flip_prob)] if flip_prob else []
    return [
        dict(
            type='RandomResize',
            scale=square,
            ratio_range=ratio_range,
            keep_ratio=True,
        ),
        dict(
            type='RandomCrop',
            crop_type='absolute',
            crop_size=square,
            recompute_bbox=True,
            allow_negative_crop=True,
        ),
        dict(
            type='FilterAnnotations',
            min_gt_bbox_wh=(1e-2, 1e-2),
            keep_empty=False,
        ),
        *flip,
        dict(type='Pad', size=square, pad_val=dict(img=_GRAY, seg=255)),
    ]
