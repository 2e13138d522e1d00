"""270,000 steps: 146 epochs of COCO at batch 64.

Warm-up over 1000 steps from a hundredth of the learning rate, then a tenth
at 0.9, 0.95 and 0.975 of the training (Section 4.1).
"""

train_cfg = dict(
    type='IterBasedTrainLoop', max_iters=270000, val_interval=10000
)
param_scheduler = [
    dict(
        type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=1000
    ),
    dict(
        type='MultiStepLR',
        begin=0,
        end=270000,
        by_epoch=False,
        milestones=[243000, 256500, 263250],
        gamma=0.1,
    ),
]
