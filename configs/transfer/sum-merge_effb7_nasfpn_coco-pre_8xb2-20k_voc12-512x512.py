r"""Segmentor of EfficientNet-B7 NAS-FPN on PASCAL VOC 2012, 1,464 images.

Backbone and neck are those of
cascade_effb7_nasfpn_ns-pre_64xb4-lsj-180k_coco-1280 of configs/copy_paste,
trained without Copy-Paste. Another checkpoint: --cfg-options
model.init_cfg.checkpoint=PATH.

Paper: Table 6, 'Eff-B7 NAS-FPN'.
Expected: not measured; the paper has an mIoU of 83.9. It gives no schedule of
    the fine-tuning.
Hardware: 8 GPUs with 2 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/transfer/sum-merge_effb7_nasfpn_coco-pre_8xb2-20k_voc12-512x512.py 8
"""

_base_ = [
    '../_base_/models/sum-merge_effb7_nasfpn.py',
    '../_base_/datasets/voc12-512x512.py',
    '../_base_/schedules/transfer_20k_b16.py',
    '../_base_/segmentation_runtime.py',
]

train_dataloader = dict(batch_size=2)
model = dict(
    init_cfg=dict(
        checkpoint='work_dirs/cascade_effb7_nasfpn_ns-pre_64xb4-lsj-180k_coco-1280/iter_180000.pth',
    )
)
