"""SGD at batch 64: the paper's learning rate, 0.32 * 64 / 256."""

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.08, momentum=0.9, weight_decay=4e-5),
)
auto_scale_lr = dict(enable=False, base_batch_size=64)
