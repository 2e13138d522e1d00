r"""Mask R-CNN EfficientNet-B7 NAS-FPN (1280) on LVIS v1: first stage.

LSJ + Copy-Paste, from random weights, 180,000 steps.

Paper: Table 7, 'EfficientNet-B7 NAS-FPN (1280) w/ Copy-Paste'; first stage.
Expected: no number for it in the paper; ours not measured.
Hardware: 64 GPUs with 4 images each; memory and hours not measured.
Command, on each of 8 machines (NODE_RANK 0 to 7):
    NNODES=8 NODE_RANK=0 MASTER_ADDR=first-machine \
        bash tools/dist_train.sh \
        configs/lvis/mask-rcnn_effb7_nasfpn_64xb4-lsj-scp-180k_lvisv1-1280.py 8
"""

_base_ = './mask-rcnn_effb7_nasfpn_64xb4-lsj-180k_lvisv1-1280.py'

# Every image receives objects of another one.
train_dataloader = dict(dataset=dict(prob=1.0))
