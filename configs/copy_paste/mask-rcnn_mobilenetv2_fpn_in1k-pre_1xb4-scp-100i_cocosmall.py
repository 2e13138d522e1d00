r"""Small Mask R-CNN with Copy-Paste on 166 COCO images, a check of the path.

All 80 classes, crowd regions included, at 320 px. A hundred steps are far too
few to detect anything; see `docs/results/coco_small.md` for what they show.

Paper: none.
Expected: falling losses, an evaluation over 80 classes, an AP near 0.
Hardware: two CPU cores.
Command:
    python tools/train.py \
        configs/copy_paste/mask-rcnn_mobilenetv2_fpn_in1k-pre_1xb4-scp-100i_cocosmall.py
"""

_base_ = './mask-rcnn_mobilenetv2_fpn_in1k-pre_1xb4-100i_cocosmall.py'

# Every image receives objects of another one.
train_dataloader = dict(dataset=dict(prob=1.0))
