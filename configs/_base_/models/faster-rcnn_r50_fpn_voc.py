"""``mask-rcnn_r50_fpn.py`` without masks, for PASCAL VOC's classes.

All weights are a COCO detector's: the rows of PASCAL VOC's 20 classes are
taken over by name, which with ``class_layers='fresh'`` start anew. A leaf adds
the checkpoint.

Objects marked as difficult are ignored: proposals that lie in them by half
are neither objects nor background.
"""

_base_ = './mask-rcnn_r50_fpn.py'

model = dict(
    type='FasterRCNN',
    data_preprocessor=dict(pad_mask=False),
    roi_head=dict(
        bbox_head=dict(num_classes=20),
        mask_roi_extractor=None,
        mask_head=None,
    ),
    train_cfg=dict(
        rpn=dict(assigner=dict(ignore_iof_thr=0.5)),
        rcnn=dict(assigner=dict(ignore_iof_thr=0.5)),
    ),
    init_cfg=dict(type='mmcp.PretrainedDetector', classes='mmdet.VOCDataset'),
)
