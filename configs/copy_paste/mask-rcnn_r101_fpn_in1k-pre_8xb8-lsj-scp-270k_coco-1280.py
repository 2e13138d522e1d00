r"""Mask R-CNN R101-FPN at 1280, LSJ + Copy-Paste, ImageNet start, 146 epochs.

Paper: Figure 4 (left), 'ImageNet pre-training w/ Copy-Paste'; differs:
    ResNet-101 at 1280, batch 64.
Expected: not measured; not a run of the paper.
Hardware: 8 GPUs with 8 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/copy_paste/mask-rcnn_r101_fpn_in1k-pre_8xb8-lsj-scp-270k_coco-1280.py 8
"""

_base_ = './mask-rcnn_r101_fpn_in1k-pre_8xb8-lsj-270k_coco-1280.py'

# Every image receives objects of another one.
train_dataloader = dict(dataset=dict(prob=1.0))
