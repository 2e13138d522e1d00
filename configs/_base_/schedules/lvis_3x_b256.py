"""The 3x schedule of the second stage on LVIS (Section 4.7): 16,875 steps.

That is 270,000 steps at batch 16, as Detectron counts, at batch 256. Learning
rate and decay are those of all trainings (Section 4.1): warm-up over 1000
steps from a hundredth, then a tenth at 0.9, 0.95 and 0.975 of the training.
"""

train_cfg = dict(
    type='IterBasedTrainLoop', max_iters=16875, val_interval=16875
)
param_scheduler = [
    dict(
        type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=1000
    ),
    dict(
        type='MultiStepLR',
        begin=0,
        end=16875,
        by_epoch=False,
        milestones=[15188, 16031, 16453],
        gamma=0.1,
    ),
]
