"""180,000 steps, the first stage on LVIS at batch 256 (Section 4.7).

Warm-up over 1000 steps from a hundredth of the learning rate, then a tenth
at 0.9, 0.95 and 0.975 of the training (Section 4.1). An evaluation looks at
20,000 images, so there are three.
"""

train_cfg = dict(
    type='IterBasedTrainLoop', max_iters=180000, val_interval=60000
)
param_scheduler = [
    dict(
        type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=1000
    ),
    dict(
        type='MultiStepLR',
        begin=0,
        end=180000,
        by_epoch=False,
        milestones=[162000, 171000, 175500],
        gamma=0.1,
    ),
]
