"""Mask R-CNN with EfficientNet-B7 and NAS-FPN: Table 7's strongest model.

P3 to P7 from five repeats of NAS-FPN with bottleneck blocks; anchors of 4 *
2^l, 9 per pixel (three scales, three ratios). The maps are 1024 wide and the
heads take them as they are: two convolutions in the RPN, a box head of four
convolutions and two linear layers on 1000 proposals. Stochastic depth grows
linearly to 0.2 in the last block of the backbone and is 0.2 in the neck.

Random weights, nothing frozen. The training images must all have the same
size, a multiple of 128; test images are padded to such multiples.
"""

_base_ = 'mmdet::_base_/models/mask-rcnn_r50_fpn.py'

model = dict(
    data_preprocessor=dict(pad_size_divisor=128),
    backbone=dict(
        _delete_=True,
        type='mmcp.EfficientNet',
        arch='b7',
        drop_path_rate=0.2,
        out_indices=(3, 4, 5),
        # EfficientNet's own: eps 1e-3, and TensorFlow's momentum of 0.99.
        norm_cfg=dict(
            type='SyncBN', eps=1e-3, momentum=0.01, requires_grad=True
        ),
    ),
    neck=dict(
        _delete_=True,
        type='mmcp.NASFPN',
        in_channels=[80, 224, 640],
        out_channels=1024,
        stack_times=5,
        drop_path_rate=0.2,
        norm_cfg=dict(type='SyncBN', requires_grad=True),
    ),
    rpn_head=dict(
        in_channels=1024,
        num_convs=2,
        anchor_generator=dict(
            _delete_=True,
            type='AnchorGenerator',
            octave_base_scale=4,
            scales_per_octave=3,
            ratios=[0.5, 1.0, 2.0],
            strides=[8, 16, 32, 64, 128],
        ),
    ),
    # A rank may hold no positive RoI: MMSyncBN takes the empty batch.
    roi_head=dict(
        # An RoI of 224 to 448 px is taken from P4, as with FPN.
        bbox_roi_extractor=dict(
            out_channels=1024,
            featmap_strides=[8, 16, 32, 64, 128],
            finest_scale=112,
        ),
        bbox_head=dict(
            type='ConvFCBBoxHead',
            num_shared_convs=4,
            num_shared_fcs=2,
            in_channels=1024,
            conv_out_channels=256,
            norm_cfg=dict(type='MMSyncBN', requires_grad=True),
        ),
        mask_roi_extractor=dict(
            out_channels=1024,
            featmap_strides=[8, 16, 32, 64, 128],
            finest_scale=112,
        ),
        mask_head=dict(
            in_channels=1024,
            norm_cfg=dict(type='MMSyncBN', requires_grad=True),
        ),
    ),
)
