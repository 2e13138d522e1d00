r"""FCN of ViT-S/16 on ADE20K, from DINO.

DINO's weights are downloaded at the first start; the paper starts from MoCo v2
of 300 epochs, whose weights are not public.
Another file: --cfg-options model.init_cfg.checkpoint=PATH.

Paper: Table 2, 'MoCo v2, ViT-S/16, 300 epochs'; differs: DINO's weights.
Expected: not measured; the paper has 40.4 mIoU.
Hardware: 4 GPUs with 4 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/cp2_finetune/fcn_vits16_dino-pre_4xb4-80k_ade20k-512x512.py 4
"""

_base_ = [
    '../_base_/models/fcn_vits16.py',
    '../_base_/datasets/ade20k-512x512.py',
    '../_base_/schedules/finetune_adamw_80k_b16.py',
    '../_base_/segmentation_runtime.py',
]

model = dict(
    data_preprocessor=dict(size=(512, 512)),
    backbone=dict(img_size=(512, 512)),
    decode_head=dict(num_classes=150),
    init_cfg=dict(
        type='mmcp.Pretrained',
        checkpoint='https://dl.fbaipublicfiles.com/dino/'
        'dino_deitsmall16_pretrain/dino_deitsmall16_pretrain.pth',
        part='backbone',
    ),
)
