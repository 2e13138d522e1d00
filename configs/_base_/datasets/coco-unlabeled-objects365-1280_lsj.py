"""COCO and pseudo-labelled images of COCO and Objects365 at 1280x1280, LSJ.

Labelled images go the way of ``coco-1280_lsj.py``; so do those that
``tools/pseudo_label.py`` labelled. Half of each batch is of one kind, half of
the other. Objects of labelled images are pasted onto labelled ones with
``labeled_prob`` and onto pseudo-labelled ones with ``pseudo_prob``: 0 here.

Images in which the teacher found nothing are left out: it may have been
uncertain only. The paper's 110k of COCO's 120k unlabelled images, and 610k of
Objects365, suggest that it did the same.
"""

train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='mmcp.MultiSourceSampler', source_ratio=[1, 1]),
    dataset=dict(
        type='mmcp.SelfTrainingDataset',
        # No image receives objects; leaves with scp... set one or both to 1.
        labeled_prob=0.0,
        pseudo_prob=0.0,
        labeled=dict(
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
                    size=1280,
                    ratio_range=(0.1, 2.0),
                ),
            ],
        ),
        pseudo=dict(
            type='ConcatDataset',
            datasets=[
                dict(
                    type='CocoDataset',
                    data_root='data/coco/',
                    ann_file='annotations/pseudo_unlabeled2017.json',
                    data_prefix=dict(img='unlabeled2017/'),
                    filter_cfg=dict(filter_empty_gt=True),
                    pipeline=[
                        dict(type='LoadImageFromFile'),
                        dict(
                            type='mmcp.LoadAnnotations',
                            with_bbox=True,
                            with_mask=True,
                        ),
                        dict(
                            type='mmcp.ScaleJitter',
                            size=1280,
                            ratio_range=(0.1, 2.0),
                        ),
                    ],
                ),
                dict(
                    type='CocoDataset',
                    data_root='data/objects365/',
                    ann_file='annotations/pseudo_train.json',
                    data_prefix=dict(img='train/'),
                    filter_cfg=dict(filter_empty_gt=True),
                    pipeline=[
                        dict(type='LoadImageFromFile'),
                        dict(
                            type='mmcp.LoadAnnotations',
                            with_bbox=True,
                            with_mask=True,
                        ),
                        dict(
                            type='mmcp.ScaleJitter',
                            size=1280,
                            ratio_range=(0.1, 2.0),
                        ),
                    ],
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
            dict(type='Resize', scale=(1280, 1280), keep_ratio=True),
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
