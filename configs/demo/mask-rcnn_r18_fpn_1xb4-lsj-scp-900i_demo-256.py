r"""Small Mask R-CNN with Copy-Paste on the built-in sample: `make demo`.

Paper: none.
Expected: mask AP50 above 0.40 over the frequent categories.
Hardware: two CPU cores, at most 8 minutes.
Command:
    python tools/train.py \
        configs/demo/mask-rcnn_r18_fpn_1xb4-lsj-scp-900i_demo-256.py
"""

_base_ = './mask-rcnn_r18_fpn_1xb4-lsj-900i_demo-256.py'

train_dataloader = dict(
    dataset=dict(
        pipeline=[dict(type='mmcp.CopyPaste'), dict(type='PackDetInputs')]
    )
)
