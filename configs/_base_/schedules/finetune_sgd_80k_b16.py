"""80,000 steps of SGD at batch 16: ADE20K in Section 4.1 of CP2.

The weight decay is that of models with a random head; a head that CP2 has
pretrained goes without. The floor of the learning rate is the released code's.
"""

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=5e-4),
)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=80000, val_interval=5000)
param_scheduler = [
    dict(
        type='PolyLR',
        power=0.9,
        eta_min=1e-4,
        begin=0,
        end=80000,
        by_epoch=False,
    )
]
auto_scale_lr = dict(enable=False, base_batch_size=16)
