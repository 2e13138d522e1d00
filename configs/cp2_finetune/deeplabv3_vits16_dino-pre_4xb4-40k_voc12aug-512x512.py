r"""DeepLabv3 of ViT-S/16 on VOC 2012 aug, from DINO.

DINO's weights are downloaded at the first start; the paper starts from MoCo v2
of 300 epochs, whose weights are not public.
Another file: --cfg-options model.init_cfg.checkpoint=PATH.

Paper: Table 1, 'MoCo v2, ViT-S/16, 300 epochs'; differs: DINO's weights.
Expected: not measured; the paper has 78.8 mIoU.
Hardware: 4 GPUs with 4 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/cp2_finetune/deeplabv3_vits16_dino-pre_4xb4-40k_voc12aug-512x512.py 4
"""

_base_ = [
    '../_base_/models/deeplabv3_vits16.py',
    '../_base_/datasets/voc12aug-512x512.py',
    '../_base_/schedules/finetune_adamw_40k_b16.py',
    '../_base_/segmentation_runtime.py',
]

model = dict(
    data_preprocessor=dict(size=(512, 512)),
    backbone=dict(img_size=(512, 512)),
    decode_head=dict(num_classes=21),
    init_cfg=dict(
        type='mmcp.Pretrained',
        checkpoint='https://dl.fbaipublicfiles.com/dino/'
        'dino_deitsmall16_pretrain/dino_deitsmall16_pretrain.pth',
        part='backbone',
    ),
)
