r"""DeepLabv3 of ViT-S/16 on VOC 2012 aug, from CP2 QT of DINO, random head.

The backbone is that of cp2_vits16-aspp_dino-pre_8xb32-20e_in1k; its head is
left out, and the weight decay is that of a random head.
Another file: --cfg-options model.init_cfg.checkpoint=PATH.

Paper: Table 3, 'CP2 QT backbone, random head, ViT-S/16, 300 epochs'; differs:
    DINO's weights.
Expected: not measured; the paper has 79.3 mIoU.
Hardware: 4 GPUs with 4 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/cp2_finetune/deeplabv3_vits16_cp2-820e-bb-pre_4xb4-40k_voc12aug-512x512.py 4
"""

_base_ = 'deeplabv3_vits16_dino-pre_4xb4-40k_voc12aug-512x512.py'

model = dict(
    init_cfg=dict(
        checkpoint='work_dirs/cp2_vits16-aspp_dino-pre_8xb32-20e_in1k/'
        'epoch_20.pth'
    )
)
