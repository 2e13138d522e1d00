r"""R50-FPN at 1024 on COCO: pseudo-labelled objects pasted into COCO.

Objects of unlabelled COCO and Objects365. No gain over objects of COCO, says
the paper.

Paper: Section 4.4, 'Data to Copy from'; differs: Res-50 FPN (1024).
Expected: no more than with objects of COCO; not measured.
Hardware: 64 GPUs with 8 images each; memory and hours not measured.
Command, on each of 8 machines (NODE_RANK 0 to 7):
    NNODES=8 NODE_RANK=0 MASTER_ADDR=first-machine \
        bash tools/dist_train.sh \
        configs/self_training/mask-rcnn_r50_fpn_64xb8-lsj-scpfrompseudo-1152e_cocouo365-1024.py 8
"""

_base_ = [
    '../_base_/models/mask-rcnn_r50_fpn.py',
    '../_base_/datasets/coco-1024_lsj.py',
    '../_base_/schedules/sgd_b256.py',
    '../_base_/schedules/576e_b256.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        prob=1.0,
        source=dict(
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
                            size=1024,
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
                            size=1024,
                            ratio_range=(0.1, 2.0),
                        ),
                    ],
                ),
            ],
        ),
    ),
)
# As in the self-trainings: twice the batch, the same learning rate.
auto_scale_lr = dict(base_batch_size=512)
