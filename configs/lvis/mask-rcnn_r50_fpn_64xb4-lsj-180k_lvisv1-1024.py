r"""Mask R-CNN R50-FPN (1024) on LVIS v1: first stage.

LSJ, from random weights, 180,000 steps.

Paper: Table 7, 'ResNet-50 FPN (1024)'; first stage.
Expected: no number for it in the paper; ours not measured.
Hardware: 64 GPUs with 4 images each; memory and hours not measured.
Command, on each of 8 machines (NODE_RANK 0 to 7):
    NNODES=8 NODE_RANK=0 MASTER_ADDR=first-machine \
        bash tools/dist_train.sh \
        configs/lvis/mask-rcnn_r50_fpn_64xb4-lsj-180k_lvisv1-1024.py 8
"""

_base_ = [
    '../_base_/models/mask-rcnn_r50_fpn.py',
    '../_base_/datasets/lvisv1-1024_lsj.py',
    '../_base_/schedules/sgd_b256.py',
    '../_base_/schedules/lvis_180k_b256.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=4)
model = dict(
    roi_head=dict(
        bbox_head=dict(num_classes=1203),
        mask_head=dict(num_classes=1203),
    ),
    test_cfg=dict(rcnn=dict(score_thr=0.0, max_per_img=300)),
)
