r"""Mask R-CNN R101-FPN at 1280, LSJ, from scratch, 146 epochs.

Paper: Table 1, 'Res-101 FPN (1280)'; differs: batch 64, 146 epochs.
Expected: not measured; the paper's 49.1 box AP and 43.1 mask AP are of batch
    256 until convergence.
Hardware: 8 GPUs with 8 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/copy_paste/mask-rcnn_r101_fpn_8xb8-lsj-270k_coco-1280.py 8
"""

_base_ = [
    '../_base_/models/mask-rcnn_r50_fpn.py',
    '../_base_/datasets/coco-1280_lsj.py',
    '../_base_/schedules/sgd_b64.py',
    '../_base_/schedules/270k.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=8)
model = dict(backbone=dict(depth=101))
