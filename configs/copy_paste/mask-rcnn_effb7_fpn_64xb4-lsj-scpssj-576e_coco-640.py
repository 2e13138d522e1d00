r"""Mask R-CNN EfficientNet-B7 FPN at 640, LSJ, objects pasted after SSJ.

Paper: Table 11, 'Main Image LSJ, Pasted Image SSJ'.
Expected: 49.7 box AP, 43.5 mask AP (the paper's); ours not measured.
Hardware: 64 GPUs with 4 images each; memory and hours not measured.
Command, on each of 8 machines (NODE_RANK 0 to 7):
    NNODES=8 NODE_RANK=0 MASTER_ADDR=first-machine \
        bash tools/dist_train.sh \
        configs/copy_paste/mask-rcnn_effb7_fpn_64xb4-lsj-scpssj-576e_coco-640.py 8
"""

_base_ = './mask-rcnn_effb7_fpn_64xb4-lsj-576e_coco-640.py'

train_dataloader = dict(
    dataset=dict(
        prob=1.0,
        # The same images once more, with another jitter.
        source=dict(
            type='CocoDataset',
            data_root='data/coco/',
            ann_file='annotations/instances_train2017.json',
            data_prefix=dict(img='train2017/'),
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(
                    type='mmcp.LoadAnnotations', with_bbox=True, with_mask=True
                ),
                dict(
                    type='mmcp.ScaleJitter', size=640, ratio_range=(0.8, 1.25)
                ),
            ],
        ),
    )
)
