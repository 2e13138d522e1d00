r"""Small CP2 on the built-in sample, from random weights: `make demo-cp2`.

ResNet-18 of a quarter of the width with an output stride of 8 and an FCN head
of 64 channels; 120 images without labels, 600 steps. The key encoder follows
faster than in the paper (momentum 0.99) and the queue is short, as they must
be for so few steps and images.

Paper: none.
Expected: instance accuracy from 14 to 39 %, cosine of foreground with
    foreground 0.31, with background 0.14, no collapse.
Hardware: two CPU cores, about 3 minutes if they are idle.
Command:
    python tools/train.py \
        configs/demo/cp2_r18-fcn_1xb24-120e_demo-64.py
"""

_base_ = [
    '../_base_/models/cp2_r50_fcn.py',
    '../_base_/datasets/demo_pairs.py',
    '../_base_/pretrain_runtime.py',
]

model = dict(
    backbone=dict(
        depth=18, base_channels=16, stem_channels=16, strides=(1, 2, 1, 1)
    ),
    decode_head=dict(in_channels=128, channels=64, dilation=2),
    projector=dict(hidden_channels=64),
    queue_len=48,
    momentum=0.99,
    # Half of the batch is normalised at a time, as on two GPUs.
    bn_splits=2,
)

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=120)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01),
)
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=120, begin=0, end=120, by_epoch=True)
]
auto_scale_lr = dict(enable=False, base_batch_size=24)

custom_hooks = [
    dict(type='mmcp.CP2CheckHook'),
    dict(type='mmcp.MidEpochResumeHook'),
    dict(type='mmcp.UnreadableImagesHook'),
    dict(type='mmcp.ComposedPairsHook'),
    # Images that are not trained on.
    dict(
        type='mmcp.SimilarityMapHook',
        interval=40,
        dataset=dict(
            type='mmcp.CopyPastePairDataset',
            dataset=dict(
                type='mmcp.UnlabeledImageDataset',
                data_root='data/demo',
                sources='val',
            ),
            size=64,
            views=_base_.train_dataloader.dataset.views,
            mask=_base_.train_dataloader.dataset.mask,
        ),
    ),
    dict(type='mmcp.CollapseHook'),
    dict(type='mmcp.CurvesHook', interval=20),
]
default_hooks = dict(
    logger=dict(interval=5), checkpoint=dict(interval=40, max_keep_ckpts=1)
)
log_processor = dict(window_size=5)
randomness = dict(seed=0, diff_rank_seed=True)
