r"""Small Mask R-CNN on 166 COCO images, a check of the 80-class path.

All 80 classes, crowd regions included, at 320 px. A hundred steps are far too
few to detect anything; see `docs/results/coco_small.md` for what they show.

Paper: none.
Expected: falling losses, an evaluation over 80 classes, an AP near 0.
Hardware: two CPU cores.
Command:
    python tools/train.py \
        configs/copy_paste/mask-rcnn_mobilenetv2_fpn_in1k-pre_1xb4-100i_cocosmall.py
"""

_base_ = [
    '../_base_/models/mask-rcnn_mobilenetv2_fpn.py',
    '../_base_/datasets/coco_small.py',
    '../_base_/default_runtime.py',
]

train_cfg = dict(type='IterBasedTrainLoop', max_iters=100, val_interval=100)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
    clip_grad=dict(max_norm=10.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=20),
    dict(
        type='CosineAnnealingLR',
        T_max=80,
        eta_min=1e-5,
        by_epoch=False,
        begin=20,
        end=100,
    ),
]
auto_scale_lr = dict(enable=False, base_batch_size=4)

default_hooks = dict(
    logger=dict(interval=10), checkpoint=dict(interval=100, max_keep_ckpts=1)
)
log_processor = dict(window_size=10)
