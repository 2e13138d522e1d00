r"""Mask R-CNN R101-FPN at 1280, SSJ + Copy-Paste, ImageNet start, 96 epochs.

Paper: Figure 4 (right), 'standard scale jittering w/ Copy-Paste'; differs:
    ImageNet weights, ResNet-101 at 1280.
Expected: not measured; not a run of the paper.
Hardware: 64 GPUs with 4 images each; memory and hours not measured.
Command, on each of 8 machines (NODE_RANK 0 to 7):
    NNODES=8 NODE_RANK=0 MASTER_ADDR=first-machine \
        bash tools/dist_train.sh \
        configs/copy_paste/mask-rcnn_r101_fpn_in1k-pre_64xb4-ssj-scp-96e_coco-1280.py 8
"""

_base_ = './mask-rcnn_r101_fpn_in1k-pre_64xb4-ssj-96e_coco-1280.py'

# Every image receives objects of another one.
train_dataloader = dict(dataset=dict(prob=1.0))
