r"""Small Mask R-CNN on nuclei, 59 images, baseline of the Copy-Paste recipe.

The recipe for real images that two CPU cores can train. The data and the
ImageNet weights are expected in `data/`, see `docs/results/nuclei.md`.

Paper: none.
Expected: see `docs/results/nuclei.md`.
Hardware: two CPU cores.
Command:
    python tools/train.py \
        configs/copy_paste/mask-rcnn_mobilenetv2_fpn_in1k-pre_1xb4-300i_dsb2018-256.py
"""

_base_ = [
    '../_base_/models/mask-rcnn_mobilenetv2_fpn.py',
    '../_base_/datasets/dsb2018_nuclei.py',
    '../_base_/default_runtime.py',
]

model = dict(
    roi_head=dict(bbox_head=dict(num_classes=1), mask_head=dict(num_classes=1))
)

train_cfg = dict(type='IterBasedTrainLoop', max_iters=300, val_interval=300)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=5e-4, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
    clip_grad=dict(max_norm=10.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=30),
    dict(
        type='CosineAnnealingLR',
        T_max=270,
        eta_min=1e-5,
        by_epoch=False,
        begin=30,
        end=300,
    ),
]
auto_scale_lr = dict(enable=False, base_batch_size=4)

default_hooks = dict(
    logger=dict(interval=20), checkpoint=dict(interval=100, max_keep_ckpts=1)
)
log_processor = dict(window_size=20)
