r"""Faster R-CNN R50-FPN on PASCAL VOC 2007+2012.

All weights but the mask head are those of
mask-rcnn_r50_fpn_8xb8-lsj-scp-270k_coco-1024 of configs/copy_paste, trained
with Copy-Paste; classes are taken over by name. Another checkpoint:
--cfg-options model.init_cfg.checkpoint=PATH.

Paper: Table 5, 'Cascade Eff-B7 NAS-FPN w/ Copy-Paste pre-training'; differs:
    Faster R-CNN R50-FPN.
Expected: not measured; the paper's AP50 of 89.3 and AP of 76.5 are of a much
    larger model.
Hardware: 4 GPUs with 4 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/transfer/faster-rcnn_r50_fpn_coco-scp-pre_4xb4-lsj-12k_voc0712-1024.py 4
"""

_base_ = [
    '../_base_/models/faster-rcnn_r50_fpn_voc.py',
    '../_base_/datasets/voc0712-1024_lsj.py',
    '../_base_/schedules/transfer_12k_b16.py',
    '../_base_/default_runtime.py',
]

model = dict(
    init_cfg=dict(
        checkpoint='work_dirs/mask-rcnn_r50_fpn_8xb8-lsj-scp-270k_coco-1024/iter_270000.pth',
    )
)
default_hooks = dict(checkpoint=dict(interval=4000))
