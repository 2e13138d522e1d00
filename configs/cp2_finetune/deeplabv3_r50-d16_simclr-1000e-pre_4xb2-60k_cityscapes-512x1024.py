r"""DeepLabv3 of R50 on Cityscapes, from SimCLR of 1000 epochs.

SimCLR's release is for TensorFlow; put a file of its ResNet-50 (1x) made by
tonylins/simclr-converter at data/weights/simclr_r50_1000e.pth.
Another file: --cfg-options model.init_cfg.checkpoint=PATH.

Paper: Table 1, 'SimCLR, ResNet-50, 1000 epochs'.
Expected: not measured; the paper has 76.5 mIoU.
Hardware: 4 GPUs with 2 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/cp2_finetune/deeplabv3_r50-d16_simclr-1000e-pre_4xb2-60k_cityscapes-512x1024.py 4
"""

_base_ = 'deeplabv3_r50-d16_in1k-pre_4xb2-60k_cityscapes-512x1024.py'

model = dict(init_cfg=dict(checkpoint='data/weights/simclr_r50_1000e.pth'))
