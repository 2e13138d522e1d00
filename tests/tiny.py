"""A tiny data set and tiny models, for tests that train in seconds.

``write_coco`` makes a COCO data set of 64x64 images, ``write_detector`` a
config of a Mask R-CNN for it. ``write_semantic`` and ``write_segmentor`` are
their counterparts in MMSegmentation's layout. Configs are plain text, so that
tools run them like any other.
"""

import json
import sys
from pathlib import Path
from textwrap import dedent

import cv2
import numpy as np

CLASSES = ('disc', 'square')
SIZE = 64


def write_coco(folder, images=8, seed=0):
    """Writes ``images/*.png`` and ``annotations.json``; returns the latter.

    Every image holds two or three discs and squares (polygons).
    """
    rng = np.random.default_rng(seed)
    (folder / 'images').mkdir(parents=True, exist_ok=True)
    records, annotations = [], []
    for index in range(images):
        canvas = rng.integers(0, 80, (SIZE, SIZE, 3), np.uint8)
        for _ in range(rng.integers(2, 4)):
            label, polygon = _shape(rng)
            color = (250, 60, 60) if label else (60, 60, 250)
            cv2.fillPoly(canvas, [polygon], color)
            annotations.append(_annotation(annotations, index, label, polygon))
        name = f'{index:03d}.png'
        cv2.imwrite(str(folder / 'images' / name), canvas)
        records.append(dict(id=index, file_name=name, width=64, height=64))
    content = dict(
        images=records,
        annotations=annotations,
        categories=[dict(id=i, name=n) for i, n in enumerate(CLASSES)],
    )
    path = folder / 'annotations.json'
    path.write_text(json.dumps(content))
    return path


def _shape(rng):
    label = int(rng.integers(2))
    center, radius = rng.integers(14, 50, 2), int(rng.integers(6, 12))
    corners = 4 if label else 16
    angles = np.arange(corners) * 2 * np.pi / corners
    ring = np.stack([np.cos(angles), np.sin(angles)], 1) * radius
    return label, np.round(center + ring).astype(np.int32)


def _annotation(annotations, image, label, polygon):
    low, high = polygon.min(0), polygon.max(0)
    return dict(
        id=len(annotations) + 1,
        image_id=image,
        category_id=label,
        segmentation=[polygon.ravel().tolist()],
        bbox=[*low.tolist(), *(high - low).tolist()],
        area=float(cv2.contourArea(polygon)),
        iscrowd=0,
    )


def write_detector(folder, data, *, by_epoch=False, steps=4, extra=''):
    """Writes a config of a Mask R-CNN with 0.1 M parameters.

    Args:
        folder: Where ``detector.py`` goes.
        data: Folder of ``write_coco``.
        by_epoch: Which training loop it uses.
        steps: Epochs or iterations.
        extra: Config text that is appended.

    Returns:
        The path of the config.
    """
    loop = (
        f"dict(type='EpochBasedTrainLoop', max_epochs={steps})"
        if by_epoch
        else f"dict(type='IterBasedTrainLoop', max_iters={steps}, "
        f'val_interval={steps})'
    )
    sampler = 'DefaultSampler' if by_epoch else 'InfiniteSampler'
    text = DETECTOR.format(data=data, loop=loop, sampler=sampler, by=by_epoch)
    return _write(folder / 'detector.py', text, extra)


def write_semantic(folder, images=4, seed=0):
    """Writes ``images/*.png`` and label maps ``maps/*.png``."""
    rng = np.random.default_rng(seed)
    for name in ('images', 'maps'):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for index in range(images):
        labels = np.zeros((SIZE, SIZE), np.uint8)
        label, polygon = _shape(rng)
        cv2.fillPoly(labels, [polygon], label + 1)
        canvas = rng.integers(0, 80, (SIZE, SIZE, 3), np.uint8)
        canvas[..., label] += labels * 60
        cv2.imwrite(str(folder / 'images' / f'{index:03d}.png'), canvas)
        cv2.imwrite(str(folder / 'maps' / f'{index:03d}.png'), labels)


def write_segmentor(folder, data, *, steps=2, extra=''):
    """Writes a config of a tiny FCN for ``write_semantic``."""
    text = SEGMENTOR.format(data=data, steps=steps)
    return _write(folder / 'segmentor.py', text, extra)


def _write(path, text, extra):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text) + dedent(extra))
    return path


def tool(name, *arguments):
    """Returns the command line of a tool in ``tools/``."""
    path = Path(__file__).parents[1] / 'tools' / name
    return [sys.executable, str(path), *map(str, arguments)]


DETECTOR = """\
default_scope = 'mmdet'
data_root = '{data}/'
metainfo = dict(classes=('disc', 'square'))
norm = dict(type='BN')
model = dict(
    type='MaskRCNN',
    data_preprocessor=dict(
        type='DetDataPreprocessor', mean=[0.0] * 3, std=[255.0] * 3,
        pad_mask=True, pad_size_divisor=32),
    backbone=dict(
        type='ResNet', depth=18, base_channels=8, stem_channels=8,
        frozen_stages=-1, norm_cfg=norm, norm_eval=False),
    neck=dict(
        type='FPN', in_channels=[8, 16, 32, 64], out_channels=16,
        num_outs=5),
    rpn_head=dict(
        type='RPNHead', in_channels=16, feat_channels=16,
        anchor_generator=dict(
            type='AnchorGenerator', scales=[4], ratios=[0.5, 2.0],
            strides=[4, 8, 16, 32, 64]),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
        loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=True),
        loss_bbox=dict(type='L1Loss')),
    roi_head=dict(
        type='StandardRoIHead',
        bbox_roi_extractor=dict(
            type='SingleRoIExtractor',
            roi_layer=dict(type='RoIAlign', output_size=4,
                           sampling_ratio=1),
            out_channels=16, featmap_strides=[4, 8, 16, 32]),
        bbox_head=dict(
            type='Shared2FCBBoxHead', in_channels=16, fc_out_channels=32,
            roi_feat_size=4, num_classes=2,
            bbox_coder=dict(type='DeltaXYWHBBoxCoder',
                            target_stds=[0.1, 0.1, 0.2, 0.2]),
            loss_cls=dict(type='CrossEntropyLoss'),
            loss_bbox=dict(type='L1Loss')),
        mask_roi_extractor=dict(
            type='SingleRoIExtractor',
            roi_layer=dict(type='RoIAlign', output_size=8,
                           sampling_ratio=1),
            out_channels=16, featmap_strides=[4, 8, 16, 32]),
        mask_head=dict(
            type='FCNMaskHead', num_convs=1, in_channels=16,
            conv_out_channels=16, num_classes=2,
            loss_mask=dict(type='CrossEntropyLoss', use_mask=True))),
    train_cfg=dict(
        rpn=dict(
            assigner=dict(
                type='MaxIoUAssigner', pos_iou_thr=0.7, neg_iou_thr=0.3,
                min_pos_iou=0.3, ignore_iof_thr=-1),
            sampler=dict(type='RandomSampler', num=32, pos_fraction=0.5,
                         neg_pos_ub=-1, add_gt_as_proposals=False),
            allowed_border=-1, pos_weight=-1, debug=False),
        rpn_proposal=dict(nms_pre=100, max_per_img=50, min_bbox_size=0,
                          nms=dict(type='nms', iou_threshold=0.7)),
        rcnn=dict(
            assigner=dict(
                type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.5,
                min_pos_iou=0.5, ignore_iof_thr=-1),
            sampler=dict(type='RandomSampler', num=16, pos_fraction=0.25,
                         neg_pos_ub=-1, add_gt_as_proposals=True),
            mask_size=16, pos_weight=-1, debug=False)),
    test_cfg=dict(
        rpn=dict(nms_pre=100, max_per_img=20, min_bbox_size=0,
                 nms=dict(type='nms', iou_threshold=0.7)),
        rcnn=dict(score_thr=0.05, max_per_img=5, mask_thr_binary=0.5,
                  nms=dict(type='nms', iou_threshold=0.5))))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='RandomFlip', prob=0.5,
         direction=['horizontal', 'vertical', 'diagonal']),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(64, 64), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='PackDetInputs',
         meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape',
                    'scale_factor')),
]
train_dataloader = dict(
    batch_size=2, num_workers=0,
    sampler=dict(type='{sampler}', shuffle=True),
    dataset=dict(
        type='CocoDataset', data_root=data_root, metainfo=metainfo,
        ann_file='annotations.json', data_prefix=dict(img='images/'),
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=1, num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CocoDataset', data_root=data_root, metainfo=metainfo,
        ann_file='annotations.json', data_prefix=dict(img='images/'),
        test_mode=True, pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(
    type='CocoMetric', ann_file=data_root + 'annotations.json',
    metric=['bbox', 'segm'])
test_evaluator = val_evaluator
train_cfg = {loop}
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=4)]
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=1),
    checkpoint=dict(type='CheckpointHook', interval=1, by_epoch={by}),
    visualization=dict(type='DetVisualizationHook'))
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='DetLocalVisualizer', vis_backends=vis_backends,
                  name='visualizer')
log_processor = dict(type='LogProcessor', window_size=1, by_epoch={by})
log_level = 'INFO'
load_from = None
resume = False
auto_scale_lr = dict(enable=False, base_batch_size=4)
"""

SEGMENTOR = """\
default_scope = 'mmseg'
data_root = '{data}/'
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor', mean=[0.0] * 3, std=[255.0] * 3,
        bgr_to_rgb=True, pad_val=0, seg_pad_val=255, size=(64, 64)),
    backbone=dict(
        type='ResNetV1c', depth=18, base_channels=8, stem_channels=8,
        norm_cfg=dict(type='SyncBN')),
    decode_head=dict(
        type='FCNHead', in_channels=64, in_index=3, channels=8,
        num_convs=1, concat_input=False, num_classes=3,
        norm_cfg=dict(type='SyncBN'),
        loss_decode=dict(type='CrossEntropyLoss')),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'))
metainfo = dict(
    classes=('ground', 'disc', 'square'),
    palette=[[0, 0, 0], [255, 0, 0], [0, 255, 0]])
dataset = dict(
    type='BaseSegDataset', data_root=data_root, metainfo=metainfo,
    img_suffix='.png', seg_map_suffix='.png',
    data_prefix=dict(img_path='images', seg_map_path='maps'),
    pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations'),
        dict(type='PackSegInputs'),
    ])
train_dataloader = dict(
    batch_size=2, num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=True), dataset=dataset)
val_dataloader = dict(
    batch_size=1, num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False), dataset=dataset)
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
train_cfg = dict(
    type='IterBasedTrainLoop', max_iters={steps}, val_interval={steps})
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01))
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=1, log_metric_by_epoch=False),
    checkpoint=dict(type='CheckpointHook', interval=1, by_epoch=False),
    visualization=dict(type='SegVisualizationHook'))
visualizer = dict(
    type='SegLocalVisualizer', name='visualizer',
    vis_backends=[dict(type='LocalVisBackend')])
log_processor = dict(by_epoch=False)
tta_model = dict(type='SegTTAModel')
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='TestTimeAug', transforms=[
        [dict(type='RandomFlip', prob=0.0, direction='horizontal'),
         dict(type='RandomFlip', prob=1.0, direction='horizontal')],
        [dict(type='LoadAnnotations')], [dict(type='PackSegInputs')],
    ]),
]
"""
