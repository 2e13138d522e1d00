r"""Mask R-CNN R50-FPN at 1024, LSJ, ImageNet start, 146 epochs.

Paper: Figure 4 (left), 'ImageNet pre-training'; differs: batch 64.
Expected: not measured; the paper shows a curve only.
Hardware: 8 GPUs with 8 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/copy_paste/mask-rcnn_r50_fpn_in1k-pre_8xb8-lsj-270k_coco-1024.py 8
"""

_base_ = [
    '../_base_/models/mask-rcnn_r50_fpn.py',
    '../_base_/datasets/coco-1024_lsj.py',
    '../_base_/schedules/sgd_b64.py',
    '../_base_/schedules/270k.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=8)
model = dict(
    backbone=dict(
        # The base has None here, into which nothing can be merged.
        init_cfg=dict(
            _delete_=True, type='Pretrained', checkpoint='mmcls://resnet50'
        )
    )
)
