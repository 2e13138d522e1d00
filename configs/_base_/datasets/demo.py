"""The built-in sample at 256x256 with large scale jitter, 0.1 to 2.0.

Made by ``python -m mmcp.demo data/demo``: 60 training and 48 validation
images, ten shapes with a long tail, one crowd region. The pipelines are those
of the COCO recipes at a quarter of their size; validation images, which the
jitter shows at up to twice their size, are resized to fit 384x384. As there,
the crowd region is an ignored instance that no assigner looks at: proposals
in it train as background.
"""

classes = (
    'star',
    'ring',
    'triangle',
    'cross',
    'heart',
    'box',
    'arrow',
    'disc',
    'crescent',
    'gear',
)

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
            data_root='data/demo/',
            ann_file='annotations/instances_train.json',
            data_prefix=dict(img='train/'),
            metainfo=dict(classes=classes),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(
                    type='mmcp.LoadAnnotations', with_bbox=True, with_mask=True
                ),
                dict(
                    type='mmcp.ScaleJitter',
                    size=256,
                    ratio_range=(0.1, 2.0),
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
        data_root='data/demo/',
        ann_file='annotations/instances_val.json',
        data_prefix=dict(img='val/'),
        metainfo=dict(classes=classes),
        test_mode=True,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(384, 384), keep_ratio=True),
            dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
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
    ann_file='data/demo/annotations/instances_val.json',
    metric=['bbox', 'segm'],
)
test_evaluator = val_evaluator
