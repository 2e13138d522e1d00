r"""Mask R-CNN EfficientNet-B7 FPN at 640, LSJ, from scratch, 576 epochs.

Paper: Table 1, 'Eff-B7 FPN (640)'.
Expected: 48.5 box AP, 42.7 mask AP (the paper's); ours not measured.
Hardware: 64 GPUs with 4 images each; memory and hours not measured.
Command, on each of 8 machines (NODE_RANK 0 to 7):
    NNODES=8 NODE_RANK=0 MASTER_ADDR=first-machine \
        bash tools/dist_train.sh \
        configs/copy_paste/mask-rcnn_effb7_fpn_64xb4-lsj-576e_coco-640.py 8
"""

_base_ = [
    '../_base_/models/mask-rcnn_effb7_fpn.py',
    '../_base_/datasets/coco-640_lsj.py',
    '../_base_/schedules/sgd_b256.py',
    '../_base_/schedules/576e_b256.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=4)
