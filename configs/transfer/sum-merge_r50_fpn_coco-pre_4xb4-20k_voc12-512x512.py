r"""Segmentor of R50-FPN on PASCAL VOC 2012, 1,464 images.

Backbone and neck are those of mask-rcnn_r50_fpn_8xb8-lsj-270k_coco-1024 of
configs/copy_paste, trained without Copy-Paste. Another checkpoint:
--cfg-options model.init_cfg.checkpoint=PATH.

Paper: Table 6, 'Eff-B7 NAS-FPN'; differs: R50-FPN.
Expected: not measured; the paper's mIoU of 83.9 is of a much larger model.
Hardware: 4 GPUs with 4 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/transfer/sum-merge_r50_fpn_coco-pre_4xb4-20k_voc12-512x512.py 4
"""

_base_ = [
    '../_base_/models/sum-merge_r50_fpn.py',
    '../_base_/datasets/voc12-512x512.py',
    '../_base_/schedules/transfer_20k_b16.py',
    '../_base_/segmentation_runtime.py',
]

model = dict(
    init_cfg=dict(
        checkpoint='work_dirs/mask-rcnn_r50_fpn_8xb8-lsj-270k_coco-1024/iter_270000.pth',
    )
)
