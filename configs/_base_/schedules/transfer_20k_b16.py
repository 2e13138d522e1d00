"""20,000 steps of SGD at batch 16: MMSegmentation's length for PASCAL VOC.

The paper gives no schedule for fine-tuning: its weight decay, with the
learning rate and the polynomial decay that are usual in segmentation.
"""

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=4e-5),
)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=20000, val_interval=5000)
param_scheduler = [
    dict(
        type='PolyLR',
        power=0.9,
        eta_min=0.0,
        begin=0,
        end=20000,
        by_epoch=False,
    )
]
auto_scale_lr = dict(enable=False, base_batch_size=16)
