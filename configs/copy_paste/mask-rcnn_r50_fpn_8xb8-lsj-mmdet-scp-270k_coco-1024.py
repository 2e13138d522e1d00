r"""LSJ + Copy-Paste on MMDetection's data path, only to compare with mmcp's.

The same recipe as without `mmdet` in the name, and the same Copy-Paste, but
loading, jitter, wrapper, packing and sampler are MMDetection's: every mask is
a bitmap of the whole image, and a sample takes several times as long. What is
drawn has the same distribution. Boxes differ below a pixel: RandomCrop makes
all of them from masks, `mmcp.ScaleJitter` only those that it cuts.

Paper: Table 1, 'Res-50 FPN (1024) w/ Copy-Paste'; differs: batch 64, 146
    epochs, MMDetection's data path.
Expected: not measured; that of the config without `mmdet`.
Hardware: 8 GPUs with 8 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/copy_paste/mask-rcnn_r50_fpn_8xb8-lsj-mmdet-scp-270k_coco-1024.py 8
"""

_base_ = './mask-rcnn_r50_fpn_8xb8-lsj-270k_coco-1024.py'

train_dataloader = dict(
    sampler=dict(type='InfiniteSampler'),
    dataset=dict(
        _delete_=True,  # Another wrapper, with arguments of its own.
        type='MultiImageMixDataset',
        dataset=dict(
            type='CocoDataset',
            data_root='data/coco/',
            ann_file='annotations/instances_train2017.json',
            data_prefix=dict(img='train2017/'),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
                dict(
                    type='RandomResize',
                    scale=(1024, 1024),
                    ratio_range=(0.1, 2.0),
                    keep_ratio=True,
                ),
                dict(
                    type='RandomCrop',
                    crop_type='absolute',
                    crop_size=(1024, 1024),
                    recompute_bbox=True,
                    allow_negative_crop=True,
                ),
                # Objects that the crop left without a pixel have empty
                # boxes by now. ``keep_empty=True`` would drop the image.
                dict(
                    type='FilterAnnotations',
                    min_gt_bbox_wh=(1e-2, 1e-2),
                    keep_empty=False,
                ),
                dict(type='RandomFlip', prob=0.5),
                dict(
                    type='Pad',
                    size=(1024, 1024),
                    pad_val=dict(img=(104, 116, 124), seg=255),
                ),
            ],
        ),
        pipeline=[dict(type='mmcp.CopyPaste'), dict(type='PackDetInputs')],
    ),
)
