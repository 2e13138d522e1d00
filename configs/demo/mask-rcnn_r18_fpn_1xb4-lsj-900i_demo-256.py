r"""Small Mask R-CNN on the built-in sample, from random weights; baseline.

ResNet-18 of half the width, FPN and heads of 48 channels with normalisation,
without which so short a training from random weights learns little.

Paper: none.
Expected: not measured.
Hardware: two CPU cores.
Command:
    python tools/train.py \
        configs/demo/mask-rcnn_r18_fpn_1xb4-lsj-900i_demo-256.py
"""

_base_ = [
    '../_base_/models/mask-rcnn_mobilenetv2_fpn.py',
    '../_base_/datasets/demo.py',
    '../_base_/default_runtime.py',
]

model = dict(
    # _delete_: another backbone type, from random initialisation.
    backbone=dict(
        _delete_=True,
        type='ResNet',
        depth=18,
        base_channels=32,
        out_indices=(0, 1, 2, 3),
        frozen_stages=-1,
        norm_eval=False,
        zero_init_residual=False,
    ),
    neck=dict(
        in_channels=[32, 64, 128, 256],
        out_channels=48,
        norm_cfg=dict(type='BN'),
    ),
    rpn_head=dict(in_channels=48, feat_channels=48),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=48),
        mask_roi_extractor=dict(out_channels=48),
        bbox_head=dict(
            type='ConvFCBBoxHead',
            num_shared_convs=2,
            in_channels=48,
            conv_out_channels=48,
            num_shared_fcs=1,
            norm_cfg=dict(type='GN', num_groups=8),
            num_classes=10,
        ),
        mask_head=dict(
            in_channels=48,
            conv_out_channels=32,
            norm_cfg=dict(type='GN', num_groups=8),
            num_classes=10,
        ),
    ),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=500, max_per_img=150),
        rcnn=dict(sampler=dict(num=40, pos_fraction=0.5)),
    ),
    test_cfg=dict(
        rpn=dict(nms_pre=500, max_per_img=200),
        rcnn=dict(max_per_img=100),
    ),
)

train_cfg = dict(type='IterBasedTrainLoop', max_iters=900, val_interval=450)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.05),
    clip_grad=dict(max_norm=10.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=50),
    dict(
        type='CosineAnnealingLR',
        begin=50,
        end=900,
        T_max=850,
        eta_min=1e-5,
        by_epoch=False,
    ),
]
auto_scale_lr = dict(enable=False, base_batch_size=4)
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(interval=300))
# That of the run whose figures configs/demo/README.md names.
randomness = dict(seed=635669650, diff_rank_seed=True)
