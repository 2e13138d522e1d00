"""Segmentor of a detector's EfficientNet-B7 and NAS-FPN: levels added up.

Backbone and neck are those of ``cascade-mask-rcnn_effb7_nasfpn.py``, P3 to P7,
all trained; ``mmcp.SumMergeHead`` resizes all levels to P3, adds them, and
classifies after two convolutions. A leaf adds the checkpoint of the detector.
"""

model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size=(512, 512),
        # As in the detector.
        test_cfg=dict(size_divisor=128),
    ),
    backbone=dict(
        type='mmcp.EfficientNet',
        arch='b7',
        drop_path_rate=0.2,
        out_indices=(3, 4, 5),
        # EfficientNet's own: eps 1e-3, and TensorFlow's momentum of 0.99.
        norm_cfg=dict(
            type='SyncBN', eps=1e-3, momentum=0.01, requires_grad=True
        ),
    ),
    neck=dict(
        type='mmcp.NASFPN',
        in_channels=[80, 224, 640],
        out_channels=1024,
        stack_times=5,
        drop_path_rate=0.2,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
    ),
    decode_head=dict(
        type='mmcp.SumMergeHead',
        in_channels=[1024, 1024, 1024, 1024, 1024],
        in_index=[0, 1, 2, 3, 4],
        channels=256,
        num_convs=2,
        num_classes=21,
        dropout_ratio=0.1,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
    init_cfg=dict(type='mmcp.Pretrained', part='backbone+neck'),
)
