r"""Mask R-CNN EfficientNet-B7 FPN at 640, SSJ, from scratch, 96 epochs.

Paper: Figure 5 (left), 'standard scale jittering'.
Expected: not measured; the paper shows a curve only.
Hardware: 64 GPUs with 4 images each; memory and hours not measured.
Command, on each of 8 machines (NODE_RANK 0 to 7):
    NNODES=8 NODE_RANK=0 MASTER_ADDR=first-machine \
        bash tools/dist_train.sh \
        configs/copy_paste/mask-rcnn_effb7_fpn_64xb4-ssj-96e_coco-640.py 8
"""

_base_ = [
    '../_base_/models/mask-rcnn_effb7_fpn.py',
    '../_base_/datasets/coco-640_ssj.py',
    '../_base_/schedules/sgd_b256.py',
    '../_base_/schedules/96e_b256.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=4)
