"""``cascade-mask-rcnn_effb7_nasfpn.py`` without masks, for PASCAL VOC.

All weights are a COCO detector's: the rows of PASCAL VOC's 20 classes are
taken over by name, which with ``class_layers='fresh'`` start anew. A leaf adds
the checkpoint.

Objects marked as difficult are ignored: proposals that lie in them by half
are neither objects nor background.
"""

_base_ = './cascade-mask-rcnn_effb7_nasfpn.py'

model = dict(
    data_preprocessor=dict(pad_mask=False),
    roi_head=dict(
        type='CascadeRoIHead',
        bbox_head=[
            dict(head, num_classes=20)
            for head in _base_.model.roi_head.bbox_head
        ],
        mask_roi_extractor=None,
        mask_head=None,
    ),
    train_cfg=dict(
        rpn=dict(assigner=dict(ignore_iof_thr=0.5)),
        rcnn=[
            dict(stage, assigner=dict(stage.assigner, ignore_iof_thr=0.5))
            for stage in _base_.model.train_cfg.rcnn
        ],
    ),
    init_cfg=dict(type='mmcp.PretrainedDetector', classes='mmdet.VOCDataset'),
)
