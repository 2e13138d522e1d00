r"""R50-FPN at 1024 on COCO: pseudo-labelled objects pasted into COCO.

Objects of unlabelled COCO. No gain over objects of COCO, says the paper.

Paper: Section 4.4, 'Data to Copy from'; differs: Res-50 FPN (1024), batch
    128, 292 epochs, unlabelled COCO only.
Expected: no more than with objects of COCO; not measured.
Hardware: 8 GPUs with 16 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/self_training/mask-rcnn_r50_fpn_8xb16-lsj-scpfrompseudo-270k_cocou-1024.py 8
"""

_base_ = [
    '../_base_/models/mask-rcnn_r50_fpn.py',
    '../_base_/datasets/coco-1024_lsj.py',
    '../_base_/schedules/sgd_b64.py',
    '../_base_/schedules/270k.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(
    batch_size=16,
    dataset=dict(
        prob=1.0,
        source=dict(
            type='CocoDataset',
            data_root='data/coco/',
            ann_file='annotations/pseudo_unlabeled2017.json',
            data_prefix=dict(img='unlabeled2017/'),
            filter_cfg=dict(filter_empty_gt=True),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(
                    type='mmcp.LoadAnnotations', with_bbox=True, with_mask=True
                ),
                dict(
                    type='mmcp.ScaleJitter',
                    size=1024,
                    ratio_range=(0.1, 2.0),
                ),
            ],
        ),
    ),
)
# As in the self-trainings: twice the batch, the same learning rate.
auto_scale_lr = dict(base_batch_size=128)
