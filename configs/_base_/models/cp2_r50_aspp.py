"""CP2 of a ResNet-50 and a DeepLabv3 head of 512 channels (Section 3.2).

The plain ResNet of torchvision and MoCo, not the one with a deep stem; the
last stage has stride 1 and, after its first block, dilation 2, which makes an
output stride of 16. BN is not synchronised on purpose: keys are shuffled
between the GPUs instead, as in MoCo.
"""

model = dict(
    type='mmcp.CP2',
    backbone=dict(
        type='ResNet',
        depth=50,
        strides=(1, 2, 2, 1),
        dilations=(1, 1, 1, 2),
        contract_dilation=True,
        norm_cfg=dict(type='BN', requires_grad=True),
    ),
    decode_head=dict(
        type='ASPPHead',
        in_channels=2048,
        in_index=3,
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
