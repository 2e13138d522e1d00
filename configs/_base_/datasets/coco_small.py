"""The 166 + 188 real COCO images of `coco_small`, 80 classes, crowds.

An excerpt of COCO 2017 with its ids and annotation format, expected in
`data/coco_small/`; it proves that a pipeline runs, not that a model is good.
Jitter of 0.5 to 2.0 around 320 px, cropped or padded to 320x320 with gray.
Crowd regions are ignored instances, cut by what is pasted and never pasted; no
assigner looks at them, so proposals in a crowd train as background.
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
            data_root='data/coco_small/',
            ann_file='annotations/instances_train2017.json',
            data_prefix=dict(img='train2017/'),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(
                    type='mmcp.LoadAnnotations', with_bbox=True, with_mask=True
                ),
                dict(
                    type='mmcp.ScaleJitter',
                    size=320,
                    ratio_range=(0.5, 2.0),
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
        data_root='data/coco_small/',
        ann_file='annotations/instances_val2017.json',
        data_prefix=dict(img='val2017/'),
        test_mode=True,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(320, 320), keep_ratio=True),
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
    ann_file='data/coco_small/annotations/instances_val2017.json',
    metric=['bbox', 'segm'],
)
test_evaluator = val_evaluator
