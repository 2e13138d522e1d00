r"""Student on the built-in sample: objects pasted into both kinds of images.

The teacher is configs/demo/mask-rcnn_r18_fpn_1xb4-lsj-scp-900i_demo-256.py;
README.md has its commands.

Paper: none.
Expected: not measured.
Hardware: two CPU cores.
Command:
    python tools/train.py \
        configs/self_training/mask-rcnn_r18_fpn_1xb8-lsj-st-scpboth-900i_demo-256.py
"""

_base_ = '../demo/mask-rcnn_r18_fpn_1xb4-lsj-900i_demo-256.py'

train_dataloader = dict(
    batch_size=8,
    sampler=dict(
        _delete_=True, type='mmcp.MultiSourceSampler', source_ratio=[1, 1]
    ),
    dataset=dict(
        _delete_=True,
        type='mmcp.SelfTrainingDataset',
        labeled_prob=1.0,
        pseudo_prob=1.0,
        labeled=dict(
            type='CocoDataset',
            data_root='data/demo/',
            ann_file='annotations/instances_train.json',
            data_prefix=dict(img='train/'),
            metainfo=dict(classes={{_base_.classes}}),
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
        pseudo=dict(
            type='CocoDataset',
            data_root='data/demo/',
            ann_file='annotations/pseudo_unlabeled.json',
            data_prefix=dict(img='unlabeled/'),
            metainfo=dict(classes={{_base_.classes}}),
            filter_cfg=dict(filter_empty_gt=True),
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
    ),
)
auto_scale_lr = dict(base_batch_size=8)
