"""Pairs of composed 64x64 views of the built-in sample, without its labels.

Made by ``python -m mmcp.demo data/demo``: 120 training and unlabelled images.
The 48 validation images are left for looking at the model. Views are changed
less than by MoCo v2's augmentation, against which a small model would need
more than a few minutes.
"""

train_dataloader = dict(
    batch_size=24,
    num_workers=1,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='mmcp.EpochSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type='mmcp.CopyPastePairDataset',
        dataset=dict(
            type='mmcp.UnlabeledImageDataset',
            data_root='data/demo',
            sources=['train', 'unlabeled'],
        ),
        size=64,
        views=dict(
            crop_scale=(0.5, 1.0),
            brightness=0.2,
            contrast=0.2,
            saturation=0.2,
            hue=0.05,
            gray_prob=0.1,
            blur_prob=0.2,
        ),
        mask=dict(type='rectangle', area=(0.5, 0.8), stride=8),
        backgrounds='dataset',
        augment='worker',
    ),
)
