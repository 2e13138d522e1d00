"""CP2 of a ViT-S/16 and a DeepLabv3 head of 512 channels (Section 3.2).

A ViT-S with DINO's and DeiT's 6 heads, biases and norms; its output stride
is 16 by itself.
"""

model = dict(
    type='mmcp.CP2',
    backbone=dict(
        type='VisionTransformer',
        img_size=224,
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
        norm_cfg=dict(type='BN', requires_grad=True),
        align_corners=False,
    ),
    projector=dict(hidden_channels=512, out_channels=128),
    queue_len=65536,
    momentum=0.999,
    temperature=0.2,
    dense_temperature=1.0,
    dense_weight=0.2,
    dense_denominator='query',
    data_preprocessor=dict(
        type='mmcp.CP2DataPreprocessor', backgrounds='dataset'
    ),
)
