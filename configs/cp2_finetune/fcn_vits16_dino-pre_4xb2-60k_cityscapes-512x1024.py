r"""FCN of ViT-S/16 on Cityscapes, from DINO.

DINO's weights are downloaded at the first start; the paper starts from MoCo v2
of 300 epochs, whose weights are not public.
Another file: --cfg-options model.init_cfg.checkpoint=PATH.

Paper: Table 2, 'MoCo v2, ViT-S/16, 300 epochs'; differs: DINO's weights.
Expected: not measured; the paper has 76.6 mIoU.
Hardware: 4 GPUs with 2 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/cp2_finetune/fcn_vits16_dino-pre_4xb2-60k_cityscapes-512x1024.py 4
"""

_base_ = [
    '../_base_/models/fcn_vits16.py',
    '../_base_/datasets/cityscapes-512x1024.py',
    '../_base_/schedules/finetune_adamw_60k_b8.py',
    '../_base_/segmentation_runtime.py',
]

model = dict(
    data_preprocessor=dict(size=(512, 1024)),
    backbone=dict(img_size=(512, 1024)),
    decode_head=dict(num_classes=19),
    init_cfg=dict(
        type='mmcp.Pretrained',
        checkpoint='https://dl.fbaipublicfiles.com/dino/'
        'dino_deitsmall16_pretrain/dino_deitsmall16_pretrain.pth',
        part='backbone',
    ),
)
