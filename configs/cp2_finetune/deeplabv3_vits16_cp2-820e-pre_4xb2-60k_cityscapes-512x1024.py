r"""DeepLabv3 of ViT-S/16 on Cityscapes, from CP2 QT of DINO.

Backbone and head are those of cp2_vits16-aspp_dino-pre_8xb32-20e_in1k.
Another file: --cfg-options model.init_cfg.checkpoint=PATH.

Paper: Table 1, 'CP2 QT v.300'; differs: DINO's weights.
Expected: not measured; the paper has 77.6 mIoU.
Hardware: 4 GPUs with 2 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/cp2_finetune/deeplabv3_vits16_cp2-820e-pre_4xb2-60k_cityscapes-512x1024.py 4
"""

_base_ = 'deeplabv3_vits16_dino-pre_4xb2-60k_cityscapes-512x1024.py'

model = dict(
    init_cfg=dict(
        checkpoint='work_dirs/cp2_vits16-aspp_dino-pre_8xb32-20e_in1k/'
        'epoch_20.pth',
        part='backbone+head',
    )
)
