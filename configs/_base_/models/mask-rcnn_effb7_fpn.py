"""The paper's Mask R-CNN with EfficientNet-B7 and FPN (Table 1).

P2 to P6, the last by a convolution, with anchors of 8 * 2^l, 3 per pixel; two
convolutions in the RPN, a box head of four convolutions and two linear layers
on 1000 proposals. So it is in the released configs, and so multiply-adds and
parameters are the paper's. Stochastic depth grows linearly to 0.2 in the last
block of the backbone, as EfficientNet's authors train it.

Random weights, nothing frozen. The training images must all have the same
size; nothing is padded here but test images.
"""

_base_ = 'mmdet::_base_/models/mask-rcnn_r50_fpn.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmcp.EfficientNet',
        arch='b7',
        drop_path_rate=0.2,
        out_indices=(2, 3, 4, 5),
        # EfficientNet's own: eps 1e-3, and TensorFlow's momentum of 0.99.
        norm_cfg=dict(
            type='SyncBN', eps=1e-3, momentum=0.01, requires_grad=True
        ),
    ),
    neck=dict(
        in_channels=[48, 80, 224, 640],
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
