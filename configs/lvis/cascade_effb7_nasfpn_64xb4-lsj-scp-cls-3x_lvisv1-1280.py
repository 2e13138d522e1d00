r"""Cascade Mask R-CNN EfficientNet-B7 NAS-FPN (1280) on LVIS v1: second stage.

Trains the last classification layer of
cascade_effb7_nasfpn_64xb4-lsj-scp-180k_lvisv1-1280
with the class-balanced loss, without RFS.

Paper: Table 7, 'EfficientNet-B7 NAS-FPN (1280) w/ Copy-Paste'; with Cascade.
Expected: no number for it in the paper; ours not measured.
Hardware: 64 GPUs with 4 images each; memory and hours not measured.
Command, after the first stage, on each of 8 machines (NODE_RANK 0 to 7):
    NNODES=8 NODE_RANK=0 MASTER_ADDR=first-machine \
        bash tools/dist_train.sh \
        configs/lvis/cascade_effb7_nasfpn_64xb4-lsj-scp-cls-3x_lvisv1-1280.py 8
"""

_base_ = './cascade_effb7_nasfpn_64xb4-lsj-cls-3x_lvisv1-1280.py'

# What the first stage leaves.
load_from = (
    'work_dirs/cascade_effb7_nasfpn_64xb4-lsj-scp-180k_lvisv1-1280/'
    'iter_180000.pth'
)
# Every image receives objects of another one.
train_dataloader = dict(dataset=dict(prob=1.0))
