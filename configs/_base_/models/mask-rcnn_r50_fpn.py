"""The paper's Mask R-CNN: MMDetection's with other heads, norms and start.

Section 4.1 gives the anchors (8 * 2^l on P2 to P6, 3 per pixel) and
synchronised batch normalisation; MMDetection's anchors are the same. The
multiply-adds of Table 1 and the released configs fix the rest: P6 by a
convolution, two convolutions in the RPN, a box head of four convolutions and
two linear layers on 1000 proposals.

The backbone starts from random weights and all of it is trained. The training
images must all have the same size; nothing is padded here but test images.
"""

_base_ = 'mmdet::_base_/models/mask-rcnn_r50_fpn.py'

model = dict(
    backbone=dict(
        frozen_stages=-1,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        norm_eval=False,
        init_cfg=None,
    ),
    neck=dict(
        add_extra_convs='on_output',
        norm_cfg=dict(type='SyncBN', requires_grad=True),
    ),
    rpn_head=dict(num_convs=2),
    # A rank may hold no positive RoI: MMSyncBN takes the empty batch.
    roi_head=dict(
        bbox_head=dict(
            type='ConvFCBBoxHead',
            num_shared_convs=4,
            num_shared_fcs=2,
            conv_out_channels=256,
            norm_cfg=dict(type='MMSyncBN', requires_grad=True),
        ),
        mask_head=dict(norm_cfg=dict(type='MMSyncBN', requires_grad=True)),
    ),
)
