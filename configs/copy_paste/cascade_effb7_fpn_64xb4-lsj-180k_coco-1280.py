r"""Cascade EfficientNet-B7 FPN at 1280, LSJ, from scratch, 180k steps.

Paper: Table 1, 'Cascade Eff-B7 FPN(1280)'.
Expected: 52.9 box AP, 45.6 mask AP (the paper's); ours not measured.
Hardware: 64 GPUs with 4 images each; memory and hours not measured.
Command, on each of 8 machines (NODE_RANK 0 to 7):
    NNODES=8 NODE_RANK=0 MASTER_ADDR=first-machine \
        bash tools/dist_train.sh \
        configs/copy_paste/cascade_effb7_fpn_64xb4-lsj-180k_coco-1280.py 8
"""

_base_ = [
    '../_base_/models/cascade-mask-rcnn_effb7_fpn.py',
    '../_base_/datasets/coco-1280_lsj.py',
    '../_base_/schedules/sgd_b256.py',
    '../_base_/schedules/180k.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=4)
