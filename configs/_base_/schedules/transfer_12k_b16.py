"""12,000 steps of SGD at batch 16: 11.6 epochs of PASCAL VOC 2007 and 2012.

The paper gives no schedule for fine-tuning. This is its shape (warm-up over
1000 steps from a hundredth, a tenth at 0.9, 0.95 and 0.975) with half the
learning rate that its rule gives for batch 16.
"""

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=4e-5),
)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=12000, val_interval=4000)
param_scheduler = [
    dict(
        type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=1000
    ),
    dict(
        type='MultiStepLR',
        begin=0,
        end=12000,
        by_epoch=False,
        milestones=[10800, 11400, 11700],
        gamma=0.1,
    ),
]
auto_scale_lr = dict(enable=False, base_batch_size=16)
