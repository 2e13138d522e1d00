"""SGD at the paper's batch of 256: learning rate 0.32 (Section 4.1)."""

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.32, momentum=0.9, weight_decay=4e-5),
)
auto_scale_lr = dict(enable=False, base_batch_size=256)
