r"""Mask R-CNN R101-FPN at 1024, SSJ, ImageNet start, 96 epochs.

Paper: Figure 4 (right), 'standard scale jittering'; differs: ImageNet weights,
    ResNet-101.
Expected: not measured; not a run of the paper.
Hardware: 64 GPUs with 4 images each; memory and hours not measured.
Command, on each of 8 machines (NODE_RANK 0 to 7):
    NNODES=8 NODE_RANK=0 MASTER_ADDR=first-machine \
        bash tools/dist_train.sh \
        configs/copy_paste/mask-rcnn_r101_fpn_in1k-pre_64xb4-ssj-96e_coco-1024.py 8
"""

_base_ = [
    '../_base_/models/mask-rcnn_r50_fpn.py',
    '../_base_/datasets/coco-1024_ssj.py',
    '../_base_/schedules/sgd_b256.py',
    '../_base_/schedules/96e_b256.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=4)
model = dict(
    backbone=dict(
        depth=101,
        # The base has None here, into which nothing can be merged.
        init_cfg=dict(
            _delete_=True, type='Pretrained', checkpoint='mmcls://resnet101'
        ),
    )
)
