"""Configs of the study: shipped ones with the same small model in all."""

import copy
from pathlib import Path
from typing import Any

from mmengine.config import Config
from training_cells import ROOT

from cp2_transfer_study.settings import (
    ARMS,
    IMAGENET,
    LABELLED,
    TARGETS,
    UNLABELLED,
    Settings,
)

SEGMENTOR = (
    'configs/seg_copy_paste/fcn_mobilenetv2_in1k-pre_1xb8-4k_camvid-360x360.py'
)
PRETRAINING = {
    'cp2': 'configs/cp2/cp2_r50-fcn_8xb32-200e_in1k.py',
    'moco': 'configs/cp2/mocov2_r50_8xb32-200e_in1k.py',
}
EMBEDDING = 128
_STRIDE = 16
# Of a segmentor's head, what a head without classifier has no use for.
_OF_THE_CLASSIFIER = (
    'num_classes',
    'ignore_index',
    'dropout_ratio',
    'loss_decode',
)


def finetune_config(
    data: Path,
    target: str,
    arm: str,
    checkpoint: Path | None,
    settings: Settings,
) -> Config:
    """Makes the config of a fine-tuning.

    Those of one target differ by ``model.init_cfg`` alone.

    Args:
        data: Folder of all data.
        target: Key of ``TARGETS``.
        arm: Key of ``ARMS``.
        checkpoint: What to start from; None for random weights.
        settings: How large everything is.

    Returns:
        The config.
    """
    config = Config.fromfile(ROOT / SEGMENTOR)
    config.model = _segmentor(target, settings)
    if checkpoint is not None:
        config.model.init_cfg = dict(
            type='mmcp.Pretrained',
            checkpoint=str(checkpoint),
            part=ARMS[arm].part,
        )
    _set_images(config, data, target, settings)
    steps = settings.steps
    config.optim_wrapper.optimizer = dict(settings.optimizer)
    config.train_cfg.update(max_iters=steps, val_interval=steps)
    config.param_scheduler = [
        dict(type='PolyLR', power=0.9, end=steps, by_epoch=False)
    ]
    config.default_hooks.logger.interval = max(1, steps // 20)
    # Whoever is interrupted starts anew: it is minutes.
    config.default_hooks.checkpoint = dict(
        type='CheckpointHook', by_epoch=False, interval=-1, save_last=False
    )
    del config.default_hooks['visualization']
    return config


def pretrain_config(data: Path, method: str, settings: Settings) -> Config:
    """Makes the config of a pretraining.

    Args:
        data: Folder of all data.
        method: ``'cp2'`` or ``'moco'``.
        settings: How large everything is.

    Returns:
        The config. Backbone and, of CP2, decode head are those of the
        fine-tuning.
    """
    config = Config.fromfile(ROOT / PRETRAINING[method])
    _set_encoder(config.model, method, settings)
    config.model.update(
        queue_len=settings.queue_len,
        momentum=settings.momentum,
        bn_splits=settings.bn_splits,
    )
    _set_pairs(config.train_dataloader, data, method, settings)
    config.optim_wrapper.optimizer = dict(settings.pretrain_optimizer)
    epochs = settings.epochs
    config.train_cfg.max_epochs = epochs
    config.param_scheduler = [
        dict(
            type='CosineAnnealingLR',
            T_max=epochs,
            by_epoch=True,
            convert_to_iter_based=True,
        )
    ]
    config.auto_scale_lr = dict(
        enable=False, base_batch_size=settings.pretrain_batch
    )
    config.default_hooks.logger.interval = 10
    config.default_hooks.checkpoint.update(
        interval=max(1, epochs // 20), max_keep_ckpts=1
    )
    config.log_processor.window_size = 10
    config.custom_hooks.append(
        dict(
            type='mmcp.KNNHook',
            data_root=str(data / LABELLED),
            size=settings.view,
            num_workers=settings.workers,
            interval=epochs,
        )
    )
    return config


def _segmentor(target: str, settings: Settings) -> Any:
    model = Config.fromfile(ROOT / SEGMENTOR).model
    del model['init_cfg']
    classes = TARGETS[target].classes
    ignored = TARGETS[target].ignore_index
    model.data_preprocessor.update(
        size=(settings.crop, settings.crop), seg_pad_val=ignored
    )
    model.decode_head.update(
        num_convs=1,
        channels=settings.head_channels,
        dilation=settings.head_dilation,
        num_classes=classes,
        ignore_index=ignored,
    )
    return model


def _set_images(
    config: Config, data: Path, target: str, settings: Settings
) -> None:
    """Sets the images of a fine-tuning and how they are read."""
    described = TARGETS[target]
    load, labels = dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')
    pack = dict(type='PackSegInputs')
    crop = settings.crop
    train = [
        load,
        labels,
        dict(
            type='RandomResize',
            scale=settings.scale,
            ratio_range=(0.5, 2.0),
            keep_ratio=True,
        ),
        dict(
            type='RandomCrop',
            crop_size=(crop, crop),
            cat_max_ratio=0.75,
            ignore_index=described.ignore_index,
        ),
        dict(type='RandomFlip', prob=0.5),
        dict(type='PhotoMetricDistortion'),
        pack,
    ]
    # Labels after the resizing: predictions are compared at full size.
    resize = dict(type='Resize', scale=settings.scale, keep_ratio=True)
    val = [load, resize, labels, pack]
    for loader, dataset, steps in (
        (config.train_dataloader, described.train, train),
        (config.val_dataloader, described.val, val),
    ):
        root = str(data / dataset['data_root'])
        loader.dataset = copy.deepcopy(dataset) | dict(
            data_root=root, pipeline=steps
        )
        _set_workers(loader, settings.workers)
    config.val_dataloader.dataset.test_mode = True
    config.train_dataloader.batch_size = settings.batch
    config.val_evaluator = dict(
        type='IoUMetric',
        iou_metrics=['mIoU'],
        ignore_index=described.ignore_index,
    )
    # There is no test; mmengine wants all three or none.
    for name in ('test_cfg', 'test_dataloader', 'test_evaluator'):
        config.pop(name)


def _set_encoder(model: Any, method: str, settings: Settings) -> None:
    segmentor = _segmentor('camvid', settings)
    model.backbone = segmentor.backbone
    model.backbone.norm_cfg.type = 'BN'
    head = segmentor.decode_head
    channels = head.in_channels
    if method == 'moco':
        model.projector.update(in_channels=channels, hidden_channels=channels)
        return
    for name in _OF_THE_CLASSIFIER:
        head.pop(name)
    head.norm_cfg.type = 'BN'
    model.decode_head = head
    model.projector.hidden_channels = settings.head_channels


def _set_pairs(
    loader: Any, data: Path, method: str, settings: Settings
) -> None:
    """Sets the images of a pretraining."""
    loader.batch_size = settings.pretrain_batch
    _set_workers(loader, settings.workers)
    loader.dataset.dataset = dict(
        type='mmcp.UnlabeledImageDataset',
        sources=[str(data / name) for name in UNLABELLED],
    )
    loader.dataset.update(size=settings.view, views=dict(settings.views))
    if method == 'cp2':
        loader.dataset.mask.stride = _STRIDE


def _set_workers(loader: Any, workers: int) -> None:
    loader.update(num_workers=workers, persistent_workers=workers > 0)


def imagenet_checkpoint(data: Path) -> Path:
    """Path of the MobileNetV2 trained on ImageNet."""
    return data / IMAGENET
