"""576 epochs of 118,287 images at batch 256: 266,146 steps.

Warm-up over 1000 steps from a hundredth of the learning rate, then a tenth
at 0.9, 0.95 and 0.975 of the training (Section 4.1).
"""

train_cfg = dict(
    type='IterBasedTrainLoop', max_iters=266146, val_interval=10000
)
param_scheduler = [
    dict(
        type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=1000
    ),
    dict(
        type='MultiStepLR',
        begin=0,
        end=266146,
        by_epoch=False,
        milestones=[239531, 252839, 259492],
        gamma=0.1,
    ),
]
