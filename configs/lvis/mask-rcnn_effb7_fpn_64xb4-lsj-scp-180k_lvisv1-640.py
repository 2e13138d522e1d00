r"""Mask R-CNN EfficientNet-B7 FPN (640) on LVIS v1: first stage.

LSJ + Copy-Paste, from random weights, 180,000 steps.

Paper: Table 8, 'Eff-B7 FPN (640) w/ Copy-Paste'.
Expected: 29.3 mask AP (r 12.8, c 30.1, f 35.7) (the paper's); ours not
    measured.
Hardware: 64 GPUs with 4 images each; memory and hours not measured.
Command, on each of 8 machines (NODE_RANK 0 to 7):
    NNODES=8 NODE_RANK=0 MASTER_ADDR=first-machine \
        bash tools/dist_train.sh \
        configs/lvis/mask-rcnn_effb7_fpn_64xb4-lsj-scp-180k_lvisv1-640.py 8
"""

_base_ = './mask-rcnn_effb7_fpn_64xb4-lsj-180k_lvisv1-640.py'

# Every image receives objects of another one.
train_dataloader = dict(dataset=dict(prob=1.0))
