"""80,000 steps of AdamW at batch 16: a ViT on ADE20K in Section 4.1 of CP2.

Weight decay 0.01 as in the pretraining, with any head. No floor of the
learning rate: the one of the ResNets' schedule is above where this one starts.
"""

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='AdamW', lr=5e-5, betas=(0.9, 0.999), weight_decay=0.01
    ),
)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=80000, val_interval=5000)
param_scheduler = [
    dict(
        type='PolyLR',
        power=0.9,
        eta_min=0.0,
        begin=0,
        end=80000,
        by_epoch=False,
    )
]
auto_scale_lr = dict(enable=False, base_batch_size=16)
