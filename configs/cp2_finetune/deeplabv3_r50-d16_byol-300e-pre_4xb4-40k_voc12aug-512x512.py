r"""DeepLabv3 of R50 on VOC 2012 aug, from BYOL of 300 epochs.

BYOL's release is for JAX; put a file of its ResNet-50 made by
ajtejankar/byol-convert at data/weights/byol_r50_300e.pth.
Another file: --cfg-options model.init_cfg.checkpoint=PATH.

Paper: Table 1, 'BYOL, ResNet-50, 300 epochs'.
Expected: not measured; the paper has 77.4 mIoU.
Hardware: 4 GPUs with 4 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/cp2_finetune/deeplabv3_r50-d16_byol-300e-pre_4xb4-40k_voc12aug-512x512.py 4
"""

_base_ = 'deeplabv3_r50-d16_in1k-pre_4xb4-40k_voc12aug-512x512.py'

model = dict(init_cfg=dict(checkpoint='data/weights/byol_r50_300e.pth'))
