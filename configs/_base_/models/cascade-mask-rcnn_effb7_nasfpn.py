"""The paper's largest model: Cascade, EfficientNet-B7, NAS-FPN (Table 4).

Three box heads on 1000 proposals, of four convolutions and two linear
layers each, with class-agnostic boxes, at an IoU of 0.6, 0.7 and 0.8; one mask head
on the last stage's boxes. The losses of the box heads are averaged, as in the
released code; everything else is ``mask-rcnn_effb7_nasfpn.py``.

Random weights, nothing frozen. The training images must all have the same
size, a multiple of 128; test images are padded to such multiples.
"""

_base_ = 'mmdet::_base_/models/cascade-mask-rcnn_r50_fpn.py'

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
        type='mmcp.SingleMaskCascadeRoIHead',
        stage_loss_weights=[1 / 3, 1 / 3, 1 / 3],
        # An RoI of 224 to 448 px is taken from P4, as with FPN.
        bbox_roi_extractor=dict(
            out_channels=1024,
            featmap_strides=[8, 16, 32, 64, 128],
            finest_scale=112,
        ),
        bbox_head=[
            dict(
                type='ConvFCBBoxHead',
                num_shared_convs=4,
                num_shared_fcs=2,
                in_channels=1024,
                conv_out_channels=256,
                fc_out_channels=1024,
                roi_feat_size=7,
                num_classes=80,
                norm_cfg=dict(type='MMSyncBN', requires_grad=True),
                bbox_coder=dict(
                    type='DeltaXYWHBBoxCoder',
                    target_means=[0.0, 0.0, 0.0, 0.0],
                    target_stds=stds,
                ),
                reg_class_agnostic=True,
                loss_cls=dict(type='CrossEntropyLoss', loss_weight=1.0),
                loss_bbox=dict(type='SmoothL1Loss', beta=1.0, loss_weight=1.0),
            )
            for stds in (
                [0.1, 0.1, 0.2, 0.2],
                [0.05, 0.05, 0.1, 0.1],
                [0.033, 0.033, 0.067, 0.067],
            )
        ],
        mask_roi_extractor=dict(
            out_channels=1024,
            featmap_strides=[8, 16, 32, 64, 128],
            finest_scale=112,
        ),
        mask_head=dict(
            in_channels=1024,
            norm_cfg=dict(type='MMSyncBN', requires_grad=True),
            # Times the stage's weight of a third: one, as with one stage.
            loss_mask=dict(loss_weight=3.0),
        ),
    ),
    train_cfg=dict(
        rpn=dict(allowed_border=-1),
        rpn_proposal=dict(max_per_img=1000),
        rcnn=[
            dict(
                assigner=dict(
                    type='MaxIoUAssigner',
                    pos_iou_thr=iou,
                    neg_iou_thr=iou,
                    min_pos_iou=iou,
                    match_low_quality=False,
                    ignore_iof_thr=-1,
                ),
                sampler=dict(
                    type='RandomSampler',
                    num=512,
                    pos_fraction=0.25,
                    neg_pos_ub=-1,
                    add_gt_as_proposals=True,
                ),
                mask_size=28,
                pos_weight=-1,
                debug=False,
            )
            for iou in (0.6, 0.7, 0.8)
        ],
    ),
)
