r"""Mask R-CNN R101-FPN (1024) on LVIS v1: second stage.

Trains the last classification layer of
mask-rcnn_r101_fpn_64xb4-lsj-180k_lvisv1-1024
with the class-balanced loss, without RFS.

Paper: Table 7, 'ResNet-101 FPN (1024)'.
Expected: 31.9 mask AP (r 24.7, c 30.5, f 36.3), 33.3 box AP (the paper's);
    ours not measured.
Hardware: 64 GPUs with 4 images each; memory and hours not measured.
Command, after the first stage, on each of 8 machines (NODE_RANK 0 to 7):
    NNODES=8 NODE_RANK=0 MASTER_ADDR=first-machine \
        bash tools/dist_train.sh \
        configs/lvis/mask-rcnn_r101_fpn_64xb4-lsj-cls-3x_lvisv1-1024.py 8
"""

_base_ = [
    '../_base_/models/mask-rcnn_r50_fpn.py',
    '../_base_/datasets/lvisv1-1024_lsj.py',
    '../_base_/schedules/sgd_b256.py',
    '../_base_/schedules/lvis_3x_b256.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=4)
# What the first stage leaves.
load_from = (
    'work_dirs/mask-rcnn_r101_fpn_64xb4-lsj-180k_lvisv1-1024/iter_180000.pth'
)
model = dict(
    type='mmcp.ClassifierFineTuner',
    backbone=dict(depth=101),
    roi_head=dict(
        type='mmcp.ClassifierRoIHead',
        bbox_head=dict(
            num_classes=1203,
            loss_cls=dict(
                _delete_=True,
                type='mmcp.ClassBalancedCrossEntropy',
                ann_file='data/lvis_v1/annotations/lvis_v1_train.json',
                beta=0.999,
                background_weight=1.0,
            ),
        ),
        mask_head=dict(num_classes=1203),
    ),
    test_cfg=dict(rcnn=dict(score_thr=0.0, max_per_img=300)),
)
