"""COCO instances at 640x640 with standard scale jitter, 0.8 to 1.25.

Every training image is resized so that it would fill 0.8 to 1.25 times the
output square, cropped to it, flipped with probability 0.5 and padded at the
bottom right with the normalisation mean. Boxes of objects that the crop cuts
are those of what is left of their masks; the others keep their annotated box.

The outer ``CopyPasteDataset`` pastes onto an image with probability ``prob``:
0 here, 1 in the Copy-Paste configs. Source and destination go through the
pipeline one by one, so they are jittered independently. With one seed, the
baseline trains on exactly the images onto which Copy-Paste pastes.

All 118,287 images are used, as in the paper; those without objects still
take pasted ones. Crowd regions are ignored instances: cut by what is pasted,
never pasted. The assigners of the models here do not look at them
(``ignore_iof_thr=-1``), so proposals in a crowd train as background.
"""

train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='mmcp.InfiniteSampler', shuffle=True),
    dataset=dict(
        type='mmcp.CopyPasteDataset',
        # No image receives objects; the Copy-Paste configs set 1.
        prob=0.0,
        dataset=dict(
            type='CocoDataset',
            data_root='data/coco/',
            ann_file='annotations/instances_train2017.json',
            data_prefix=dict(img='train2017/'),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(
                    type='mmcp.LoadAnnotations', with_bbox=True, with_mask=True
                ),
                dict(
                    type='mmcp.ScaleJitter',
                    size=640,
                    ratio_range=(0.8, 1.25),
                ),
            ],
        ),
        pipeline=[dict(type='mmcp.PackDetInputs')],
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CocoDataset',
        data_root='data/coco/',
        ann_file='annotations/instances_val2017.json',
        data_prefix=dict(img='val2017/'),
        test_mode=True,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(640, 640), keep_ratio=True),
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
    ann_file='data/coco/annotations/instances_val2017.json',
    metric=['bbox', 'segm'],
)
test_evaluator = val_evaluator
