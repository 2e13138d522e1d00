r"""DeepLabv3 of R50 on ADE20K, from PixPro of 400 epochs.

Put the file that zdaxie/PixPro links at data/weights/pixpro_r50_400e.pth.
Another file: --cfg-options model.init_cfg.checkpoint=PATH.

Paper: Table 1, 'PixPro, ResNet-50, 400 epochs'.
Expected: not measured; the paper has 40.3 mIoU.
Hardware: 4 GPUs with 4 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/cp2_finetune/deeplabv3_r50-d16_pixpro-400e-pre_4xb4-80k_ade20k-512x512.py 4
"""

_base_ = 'deeplabv3_r50-d16_in1k-pre_4xb4-80k_ade20k-512x512.py'

model = dict(init_cfg=dict(checkpoint='data/weights/pixpro_r50_400e.pth'))
