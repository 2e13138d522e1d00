r"""Mask R-CNN R50-FPN at 1024, SSJ + Copy-Paste, from scratch, 146 epochs.

Paper: Figure 4 (right), 'standard scale jittering w/ Copy-Paste'; differs:
    batch 64.
Expected: not measured; MMDetection reports 45.1 box AP and 40.3 mask AP for
    its 270k recipe (learning rate 0.1).
Hardware: 8 GPUs with 8 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/copy_paste/mask-rcnn_r50_fpn_8xb8-ssj-scp-270k_coco-1024.py 8
"""

_base_ = './mask-rcnn_r50_fpn_8xb8-ssj-270k_coco-1024.py'

# Every image receives objects of another one.
train_dataloader = dict(dataset=dict(prob=1.0))
