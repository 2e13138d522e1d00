"""4,000 steps of SGD at batch 8, for data sets of a few hundred images."""

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=5e-4),
)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=4000, val_interval=500)
param_scheduler = [
    dict(
        type='PolyLR',
        power=0.9,
        eta_min=1e-4,
        begin=0,
        end=4000,
        by_epoch=False,
    )
]
auto_scale_lr = dict(enable=False, base_batch_size=8)
