"""20 epochs, Quick Tuning: the learning rate falls along a cosine, by epoch."""

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=20)
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=20, begin=0, end=20, by_epoch=True)
]
