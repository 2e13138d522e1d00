r"""Mask R-CNN EfficientNet-B7 FPN at 1280, LSJ + Copy-Paste, 576 epochs.

Paper: Table 1, 'Eff-B7 FPN (1280) w/ Copy-Paste'.
Expected: 52.6 box AP, 45.9 mask AP (the paper's); ours not measured.
Hardware: 64 GPUs with 4 images each; memory and hours not measured.
Command, on each of 8 machines (NODE_RANK 0 to 7):
    NNODES=8 NODE_RANK=0 MASTER_ADDR=first-machine \
        bash tools/dist_train.sh \
        configs/copy_paste/mask-rcnn_effb7_fpn_64xb4-lsj-scp-576e_coco-1280.py 8
"""

_base_ = './mask-rcnn_effb7_fpn_64xb4-lsj-576e_coco-1280.py'

# Every image receives objects of another one.
train_dataloader = dict(dataset=dict(prob=1.0))
