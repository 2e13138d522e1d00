"""DeepLabv3's head on a ViT-S/16 (Section 3.2 of CP2).

A ViT-S with DINO's and DeiT's 6 heads, biases and norms; its output stride is
16 by itself. The head is that of the pretraining (``cp2_vits16_aspp.py``) with
a classifier in place of the projector. A leaf adds the size of the crops as
``img_size``, for which ``mmcp.Pretrained`` resizes the position embedding once;
for images of other sizes the transformer does so in each step.
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
        type='ASPPHead',
        in_channels=384,
        in_index=0,
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
