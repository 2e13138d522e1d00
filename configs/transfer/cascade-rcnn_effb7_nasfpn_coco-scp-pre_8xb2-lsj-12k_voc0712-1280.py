r"""Cascade R-CNN EfficientNet-B7 NAS-FPN on PASCAL VOC 2007+2012.

All weights but the mask head are those of
cascade_effb7_nasfpn_ns-pre_64xb4-lsj-scp-180k_coco-1280 of configs/copy_paste,
trained with Copy-Paste; classes are taken over by name. Another checkpoint:
--cfg-options model.init_cfg.checkpoint=PATH.

Paper: Table 5, 'Cascade Eff-B7 NAS-FPN w/ Copy-Paste pre-training'.
Expected: not measured; the paper has an AP50 of 89.3 and an AP of 76.5. It
    gives no schedule of the fine-tuning.
Hardware: 8 GPUs with 2 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/transfer/cascade-rcnn_effb7_nasfpn_coco-scp-pre_8xb2-lsj-12k_voc0712-1280.py 8
"""

_base_ = [
    '../_base_/models/cascade-rcnn_effb7_nasfpn_voc.py',
    '../_base_/datasets/voc0712-1280_lsj.py',
    '../_base_/schedules/transfer_12k_b16.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=2)
model = dict(
    init_cfg=dict(
        checkpoint='work_dirs/cascade_effb7_nasfpn_ns-pre_64xb4-lsj-scp-180k_coco-1280/iter_180000.pth',
    )
)
default_hooks = dict(checkpoint=dict(interval=4000))
