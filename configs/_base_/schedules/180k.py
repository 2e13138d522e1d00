"""180,000 steps: 390 epochs of COCO at batch 256.

Warm-up over 1000 steps from a hundredth of the learning rate, then a tenth
at 0.9, 0.95 and 0.975 of the training (Section 4.1).
"""

train_cfg = dict(
    type='IterBasedTrainLoop', max_iters=180000, val_interval=10000
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
