r"""MoCo v2 of R50, the baseline of CP2: 800 epochs of ImageNet-1k.

Paper: Table 1, 'MoCo v2, ResNet-50, 800 epochs'.
Expected: not measured; the paper has 77.2 / 76.4 / 39.7 mIoU on PASCAL VOC /
    Cityscapes / ADE20K after fine-tuning.
Hardware: 8 GPUs with 32 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/cp2/mocov2_r50_8xb32-800e_in1k.py 8
"""

_base_ = './mocov2_r50_8xb32-200e_in1k.py'

train_cfg = dict(max_epochs=800)
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=800, begin=0, end=800, by_epoch=True)
]
