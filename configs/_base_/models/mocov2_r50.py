"""MoCo v2 of a ResNet-50, the baseline of CP2 from the same parts.

The network is torchvision's, with an output stride of 32; features are pooled
over the whole image and there are no masks.
"""

model = dict(
    type='mmcp.MoCo',
    backbone=dict(
        type='ResNet',
        depth=50,
        out_indices=(3,),
        norm_cfg=dict(type='BN', requires_grad=True),
        zero_init_residual=False,
    ),
    projector=dict(in_channels=2048, hidden_channels=2048, out_channels=128),
    queue_len=65536,
    momentum=0.999,
    temperature=0.2,
    data_preprocessor=dict(type='mmcp.CP2DataPreprocessor'),
)
