"""FCN's head on a ViT-S/16 (Section 4.1 of CP2).

As ``deeplabv3_vits16.py``, with the head of ``cp2_vits16_fcn.py``: two 3x3
convolutions of 256 channels, dilation 6.
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
        type='VisionTransformer',
        patch_size=16,
        embed_dims=384,
        num_layers=12,
        num_heads=6,
        norm_cfg=dict(type='LN', eps=1e-6),
        patch_bias=True,
        final_norm=True,
    ),
    decode_head=dict(
        type='FCNHead',
        in_channels=384,
        in_index=0,
        channels=256,
        num_convs=2,
        dilation=6,
        concat_input=False,
        dropout_ratio=0.1,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
