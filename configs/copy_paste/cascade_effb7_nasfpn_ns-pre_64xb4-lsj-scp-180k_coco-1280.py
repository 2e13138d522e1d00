r"""Cascade EfficientNet-B7 NAS-FPN at 1280, LSJ + Copy-Paste, 180k steps.

Paper: Table 4, 'Cascade Eff-B7 NAS-FPN (1280) w/ Copy-Paste'.
Expected: 55.9 box AP, 47.2 mask AP (the paper's); ours not measured.
Hardware: 64 GPUs with 4 images each; memory and hours not measured.
Command, on each of 8 machines (NODE_RANK 0 to 7):
    NNODES=8 NODE_RANK=0 MASTER_ADDR=first-machine \
        bash tools/dist_train.sh \
        configs/copy_paste/cascade_effb7_nasfpn_ns-pre_64xb4-lsj-scp-180k_coco-1280.py 8
"""

_base_ = './cascade_effb7_nasfpn_ns-pre_64xb4-lsj-180k_coco-1280.py'

# Every image receives objects of another one.
train_dataloader = dict(dataset=dict(prob=1.0))
