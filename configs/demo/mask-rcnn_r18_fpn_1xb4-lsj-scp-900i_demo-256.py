r"""Small Mask R-CNN with Copy-Paste on the built-in sample: `make demo`.

Paper: none.
Expected: mask AP50 0.44 over the seven categories with at least 20 training
    objects, mask AP 0.20 over all.
Hardware: two CPU cores, 6.5 minutes if they are idle.
Command:
    python tools/train.py \
        configs/demo/mask-rcnn_r18_fpn_1xb4-lsj-scp-900i_demo-256.py
"""

_base_ = './mask-rcnn_r18_fpn_1xb4-lsj-900i_demo-256.py'

# Every image receives objects of another one.
train_dataloader = dict(dataset=dict(prob=1.0))
