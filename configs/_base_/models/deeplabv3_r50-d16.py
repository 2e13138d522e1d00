"""DeepLabv3 of a ResNet-50 at output stride 16 (Section 3.2 of CP2).

The plain ResNet of torchvision and MoCo, not the one with a deep stem; the
last stage has stride 1 and, after its first block, dilation 2. The head is
that of the pretraining (``cp2_r50_aspp.py``) with a classifier in place of the
projector. There is no auxiliary head. On one GPU, mmengine makes ordinary
batch normalisation of the synchronised one. A leaf adds the number of classes,
the size of the crops and the weights to start from.
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
    ),
    backbone=dict(
        type='ResNet',
        depth=50,
        strides=(1, 2, 2, 1),
        dilations=(1, 1, 1, 2),
        contract_dilation=True,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
    ),
    decode_head=dict(
        type='ASPPHead',
        in_channels=2048,
        in_index=3,
        channels=512,
        dilations=(1, 6, 12, 18),
        dropout_ratio=0.1,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
