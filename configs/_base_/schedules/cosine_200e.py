"""200 epochs: the learning rate falls along a cosine, by epoch."""

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=200)
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=200, begin=0, end=200, by_epoch=True)
]
