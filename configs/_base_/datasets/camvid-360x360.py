"""CamVid at 480x360, crops of 360x360, with SegCopyPaste in the pipeline.

367 training, 101 validation and 233 test images of streets, 11 classes; label
11 is void and ignored. The data are expected in::

    data/camvid/
        images/{train,val,test}/*.jpg
        annotations/{train,val,test}/*.png

Both images of a paste are scaled, cropped and flipped before it. The paste is
there without Copy-Paste too, so that adding it is one number.
"""

classes = (
    'sky',
    'building',
    'pole',
    'road',
    'pavement',
    'tree',
    'sign',
    'fence',
    'car',
    'pedestrian',
    'bicyclist',
)
palette = [
    [128, 128, 128],
    [128, 0, 0],
    [192, 192, 128],
    [128, 64, 128],
    [60, 40, 222],
    [128, 128, 0],
    [192, 128, 128],
    [64, 64, 128],
    [64, 0, 128],
    [64, 64, 0],
    [0, 128, 192],
]

train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='mmcp.InfiniteSampler', shuffle=True),
    dataset=dict(
        type='MultiImageMixDataset',
        dataset=dict(
            type='BaseSegDataset',
            data_root='data/camvid/',
            data_prefix=dict(
                img_path='images/train', seg_map_path='annotations/train'
            ),
            metainfo=dict(classes=classes, palette=palette),
            ignore_index=11,
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations'),
                dict(
                    type='RandomResize',
                    scale=(480, 360),
                    ratio_range=(0.5, 2.0),
                    keep_ratio=True,
                ),
                dict(
                    type='RandomCrop',
                    crop_size=(360, 360),
                    cat_max_ratio=0.75,
                    ignore_index=11,
                ),
                dict(type='RandomFlip', prob=0.5),
            ],
        ),
        pipeline=[
            dict(
                type='mmcp.SegCopyPaste',
                # Nothing is pasted; the Copy-Paste configs set 0.5.
                prob=0.0,
                mode='component',
                allow=['pole', 'sign', 'car', 'pedestrian', 'bicyclist'],
                min_area=32,
                ignore_index=11,
            ),
            dict(type='PhotoMetricDistortion'),
            dict(type='PackSegInputs'),
        ],
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='BaseSegDataset',
        data_root='data/camvid/',
        data_prefix=dict(
            img_path='images/val', seg_map_path='annotations/val'
        ),
        metainfo=dict(classes=classes, palette=palette),
        ignore_index=11,
        test_mode=True,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(480, 360), keep_ratio=True),
            # After the resizing: predictions are compared at full size.
            dict(type='LoadAnnotations'),
            dict(type='PackSegInputs'),
        ],
    ),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='BaseSegDataset',
        data_root='data/camvid/',
        data_prefix=dict(
            img_path='images/test', seg_map_path='annotations/test'
        ),
        metainfo=dict(classes=classes, palette=palette),
        ignore_index=11,
        test_mode=True,
        pipeline=val_dataloader['dataset']['pipeline'],
    ),
)
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'], ignore_index=11)
test_evaluator = val_evaluator
