"""Nuclei of the 2018 Data Science Bowl, 59 of the 587 training images.

COCO JSON with RLE masks, one class, 1 to 369 nuclei per image, CC0. The data
are expected in `data/dsb2018_nuclei/` (`images/`, `instances_train.json`,
`instances_val.json`); `data` may be a link. Training images are jittered by
0.5 to 2.0 around 256 px and cropped or padded (gray: the normalisation mean)
to 256x256. Validation images are resized to fit 384x384, a size between the
extremes of the jitter at which small nuclei can be told apart. The wrapper is
there without Copy-Paste too, so that adding the paste is one number.
"""

train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='mmcp.InfiniteSampler', shuffle=True),
    dataset=dict(
        type='mmcp.CopyPasteDataset',
        # No image receives objects; the Copy-Paste configs set 1.
        prob=0.0,
        dataset=dict(
            type='CocoDataset',
            data_root='data/dsb2018_nuclei/',
            ann_file='instances_train.json',
            data_prefix=dict(img='images/'),
            metainfo=dict(classes=('nucleus',), palette=[(220, 20, 60)]),
            indices=59,
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(
                    type='mmcp.LoadAnnotations', with_bbox=True, with_mask=True
                ),
                # Before the jitter, so that padding stays at the bottom right.
                dict(
                    type='RandomFlip',
                    prob=[0.3, 0.3],
                    direction=['horizontal', 'vertical'],
                ),
                dict(
                    type='mmcp.ScaleJitter',
                    size=256,
                    ratio_range=(0.5, 2.0),
                    flip_prob=0.0,
                ),
            ],
        ),
        pipeline=[dict(type='mmcp.PackDetInputs')],
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=1,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CocoDataset',
        data_root='data/dsb2018_nuclei/',
        ann_file='instances_val.json',
        data_prefix=dict(img='images/'),
        metainfo=dict(classes=('nucleus',), palette=[(220, 20, 60)]),
        test_mode=True,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(384, 384), keep_ratio=True),
            dict(
                type='PackDetInputs',
                meta_keys=(
                    'img_id',
                    'img_path',
                    'ori_shape',
                    'img_shape',
                    'scale_factor',
                ),
            ),
        ],
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(
    type='CocoMetric',
    ann_file='data/dsb2018_nuclei/instances_val.json',
    metric=['bbox', 'segm'],
)
test_evaluator = val_evaluator
