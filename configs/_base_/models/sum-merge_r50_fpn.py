"""Segmentor of a detector's ResNet-50 and pyramid: the levels added up.

Backbone and neck are those of ``mask-rcnn_r50_fpn.py``, P2 to P6, all trained;
``mmcp.SumMergeHead`` resizes all levels to P2, adds them, and classifies after
two convolutions. A leaf adds the checkpoint of the detector.
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
        test_cfg=dict(size_divisor=32),
    ),
    backbone=dict(
        type='mmdet.ResNet',
        depth=50,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        norm_eval=False,
    ),
    neck=dict(
        type='mmdet.FPN',
        in_channels=[256, 512, 1024, 2048],
        out_channels=256,
        num_outs=5,
        add_extra_convs='on_output',
        norm_cfg=dict(type='SyncBN', requires_grad=True),
    ),
    decode_head=dict(
        type='mmcp.SumMergeHead',
        in_channels=[256, 256, 256, 256, 256],
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
