r"""Mask R-CNN R50-FPN at 1024, SSJ + Copy-Paste, ImageNet start, 49 epochs.

Paper: Figure 4 (right), 'standard scale jittering w/ Copy-Paste'; differs:
    ImageNet weights, batch 64.
Expected: not measured; not a run of the paper.
Hardware: 8 GPUs with 8 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/copy_paste/mask-rcnn_r50_fpn_in1k-pre_8xb8-ssj-scp-90k_coco-1024.py 8
"""

_base_ = './mask-rcnn_r50_fpn_in1k-pre_8xb8-ssj-90k_coco-1024.py'

# Every image receives objects of another one.
train_dataloader = dict(dataset=dict(prob=1.0))
