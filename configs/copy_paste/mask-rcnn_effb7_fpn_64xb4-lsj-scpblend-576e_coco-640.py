r"""Mask R-CNN EfficientNet-B7 FPN at 640, LSJ + blended Copy-Paste.

The config with `scp` in place of `scpblend` is the row without blending. The
paper does not give the width of its Gaussian; here it is 2 px.

Paper: Table 10, 'w/ Copy-Paste'.
Expected: 50.0 box AP, 43.7 mask AP (the paper's); ours not measured.
Hardware: 64 GPUs with 4 images each; memory and hours not measured.
Command, on each of 8 machines (NODE_RANK 0 to 7):
    NNODES=8 NODE_RANK=0 MASTER_ADDR=first-machine \
        bash tools/dist_train.sh \
        configs/copy_paste/mask-rcnn_effb7_fpn_64xb4-lsj-scpblend-576e_coco-640.py 8
"""

_base_ = './mask-rcnn_effb7_fpn_64xb4-lsj-576e_coco-640.py'

# Every image receives objects of another one, with smooth edges.
train_dataloader = dict(
    dataset=dict(prob=1.0, copy_paste=dict(blend='gaussian'))
)
