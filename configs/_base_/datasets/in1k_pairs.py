"""Pairs of composed 224x224 views of ImageNet-1k, without its labels.

``data/imagenet/train`` holds ImageNet's folders; any folder, list file or
archive of images will do: ``--cfg-options
train_dataloader.dataset.dataset.sources=PATH``. What was found is kept in
``work_dirs/``, so that the next start does not search again.

Views are MoCo v2's. The foreground is a random rectangle of 0.5 to 0.8 of
the view; the backgrounds are views of two other images of the data set, as in
the released code. Samples depend on the seed and their position in the run
only, not on the number of workers or on interruptions.
"""

train_dataloader = dict(
    batch_size=32,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    sampler=dict(type='mmcp.EpochSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type='mmcp.CopyPastePairDataset',
        dataset=dict(
            type='mmcp.UnlabeledImageDataset',
            sources='data/imagenet/train',
            cache_file='work_dirs/pretraining_images.npz',
        ),
        size=224,
        mask=dict(type='rectangle', area=(0.5, 0.8)),
        backgrounds='dataset',
        augment='worker',
    ),
)
