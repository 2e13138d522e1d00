r"""Mask R-CNN EfficientNet-B7 FPN at 640, SSJ + mixup, 96 epochs.

The paper does not say how it mixes; `mmcp.DetMixUp` says what is done here.

Paper: Figure 5 (left), 'standard scale jittering w/ mixup'.
Expected: not measured; the paper shows a curve only.
Hardware: 64 GPUs with 4 images each; memory and hours not measured.
Command, on each of 8 machines (NODE_RANK 0 to 7):
    NNODES=8 NODE_RANK=0 MASTER_ADDR=first-machine \
        bash tools/dist_train.sh \
        configs/copy_paste/mask-rcnn_effb7_fpn_64xb4-ssj-mixup-96e_coco-640.py 8
"""

_base_ = './mask-rcnn_effb7_fpn_64xb4-ssj-96e_coco-640.py'

# Every image is averaged with another one.
train_dataloader = dict(
    dataset=dict(prob=1.0, copy_paste=dict(type='mmcp.DetMixUp'))
)
