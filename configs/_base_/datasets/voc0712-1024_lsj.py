"""PASCAL VOC 2007 and 2012 boxes at 1024x1024 with large scale jitter.

16,551 images of both trainvals are trained on; the 4,952 of VOC 2007's test
are evaluated. 20 classes. The development kits as they are unpacked::

    data/VOCdevkit/
        VOC2007/JPEGImages/*.jpg
        VOC2007/Annotations/*.xml
        VOC2007/ImageSets/Main/{trainval,test}.txt
        VOC2012/JPEGImages/*.jpg
        VOC2012/Annotations/*.xml
        VOC2012/ImageSets/Main/trainval.txt

Every training image is resized so that it would fill 0.1 to 2.0 times the
output square, cropped to it, flipped with probability 0.5 and padded at the
bottom right with the normalisation mean. There are no masks, so nothing is
pasted; the outer data set makes a sample depend on seed and position only.

Two evaluations: ``pascal_voc/AP50`` is VOC 2007's own, of 11 points, by
which older detectors are listed; ``coco/bbox_mAP`` (and ``_50``, ``_75``) is
COCO's AP over the IoU thresholds 0.5 to 0.95. Objects marked as difficult
count neither for nor against a detector in both.
"""

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmcp.LoadAnnotations', with_bbox=True),
    dict(type='mmcp.ScaleJitter', size=1024, ratio_range=(0.1, 2.0)),
]
train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='mmcp.InfiniteSampler', shuffle=True),
    dataset=dict(
        type='mmcp.CopyPasteDataset',
        # No image receives objects.
        prob=0.0,
        dataset=dict(
            type='ConcatDataset',
            # The year, which differs.
            ignore_keys=['dataset_type'],
            datasets=[
                dict(
                    type='VOCDataset',
                    data_root='data/VOCdevkit/',
                    ann_file='VOC2007/ImageSets/Main/trainval.txt',
                    data_prefix=dict(sub_data_root='VOC2007/'),
                    pipeline=train_pipeline,
                ),
                dict(
                    type='VOCDataset',
                    data_root='data/VOCdevkit/',
                    ann_file='VOC2012/ImageSets/Main/trainval.txt',
                    data_prefix=dict(sub_data_root='VOC2012/'),
                    pipeline=train_pipeline,
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
        type='VOCDataset',
        data_root='data/VOCdevkit/',
        ann_file='VOC2007/ImageSets/Main/test.txt',
        data_prefix=dict(sub_data_root='VOC2007/'),
        test_mode=True,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(1024, 1024), keep_ratio=True),
            # After the resizing: boxes are compared at full size.
            dict(type='LoadAnnotations', with_bbox=True),
            dict(
                type='PackDetInputs',
                meta_keys=(
                    'img_id',
                    'img_path',
                    'ori_shape',
                    'img_shape',
                    'scale_factor',
                    # What CocoMetric makes its ground truth of.
                    'instances',
                ),
            ),
        ],
    ),
)
test_dataloader = val_dataloader

val_evaluator = [
    dict(type='VOCMetric', metric='mAP', iou_thrs=0.5, eval_mode='11points'),
    dict(type='CocoMetric', metric='bbox'),
]
test_evaluator = val_evaluator
