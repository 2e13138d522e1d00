"""AdamW of CP2's transformers at batch 256 (Section 4.1)."""

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='AdamW', lr=5e-5, betas=(0.9, 0.999), weight_decay=0.01
    ),
)
auto_scale_lr = dict(enable=False, base_batch_size=256)
