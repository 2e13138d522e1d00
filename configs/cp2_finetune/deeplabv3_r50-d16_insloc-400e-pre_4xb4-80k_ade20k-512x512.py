r"""DeepLabv3 of R50 on ADE20K, from InsLoc of 400 epochs.

Put the R50-FPN file that limbo0000/InstanceLoc links at
data/weights/insloc_r50_400e.pth; its pyramid is not used.
Another file: --cfg-options model.init_cfg.checkpoint=PATH.

Paper: Table 1, 'InsLoc, ResNet-50, 400 epochs'.
Expected: not measured; the paper has 40.3 mIoU.
Hardware: 4 GPUs with 4 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/cp2_finetune/deeplabv3_r50-d16_insloc-400e-pre_4xb4-80k_ade20k-512x512.py 4
"""

_base_ = 'deeplabv3_r50-d16_in1k-pre_4xb4-80k_ade20k-512x512.py'

model = dict(init_cfg=dict(checkpoint='data/weights/insloc_r50_400e.pth'))
