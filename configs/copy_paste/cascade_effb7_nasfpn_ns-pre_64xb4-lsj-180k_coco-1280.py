r"""Cascade EfficientNet-B7 NAS-FPN at 1280, LSJ, 180k steps.

Paper: Table 4, 'Cascade Eff-B7 NAS-FPN (1280)'; differs:
    180k steps instead of 90k (as in the released configuration).
Expected: 54.5 box AP, 46.8 mask AP (the paper's); ours not measured.
Hardware: 64 GPUs with 4 images each; memory and hours not measured.
Command, on each of 8 machines (NODE_RANK 0 to 7):
    NNODES=8 NODE_RANK=0 MASTER_ADDR=first-machine \
        bash tools/dist_train.sh \
        configs/copy_paste/cascade_effb7_nasfpn_ns-pre_64xb4-lsj-180k_coco-1280.py 8
"""

_base_ = [
    '../_base_/models/cascade-mask-rcnn_effb7_nasfpn.py',
    '../_base_/datasets/coco-1280_lsj.py',
    '../_base_/schedules/sgd_b256.py',
    '../_base_/schedules/180k.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=4)
model = dict(
    backbone=dict(
        init_cfg=dict(
            type='mmcp.Pretrained',
            checkpoint='https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-weights/tf_efficientnet_b7_ns-1dbc32de.pth',
        )
    )
)
