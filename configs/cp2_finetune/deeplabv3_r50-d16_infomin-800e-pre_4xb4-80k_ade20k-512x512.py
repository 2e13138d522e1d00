r"""DeepLabv3 of R50 on ADE20K, from InfoMin of 800 epochs.

Put the file that HobbitLong/PyContrast links at
data/weights/infomin_r50_800e.pth.
Another file: --cfg-options model.init_cfg.checkpoint=PATH.

Paper: Table 1, 'InfoMin, ResNet-50, 800 epochs'.
Expected: not measured; the paper has 39.6 mIoU.
Hardware: 4 GPUs with 4 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/cp2_finetune/deeplabv3_r50-d16_infomin-800e-pre_4xb4-80k_ade20k-512x512.py 4
"""

_base_ = 'deeplabv3_r50-d16_in1k-pre_4xb4-80k_ade20k-512x512.py'

model = dict(init_cfg=dict(checkpoint='data/weights/infomin_r50_800e.pth'))
