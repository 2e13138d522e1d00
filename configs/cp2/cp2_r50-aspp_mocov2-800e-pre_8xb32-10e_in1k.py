r"""CP2 Quick Tuning of R50 + ASPP: 10 epochs from MoCo v2 of 800 epochs.

Paper: Table 5 (b), '10 epochs'.
Expected: not measured; the paper has 77.7 mIoU on PASCAL VOC after
    fine-tuning.
Hardware: 8 GPUs with 32 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/cp2/cp2_r50-aspp_mocov2-800e-pre_8xb32-10e_in1k.py 8
"""

_base_ = './cp2_r50-aspp_mocov2-800e-pre_8xb32-20e_in1k.py'

train_cfg = dict(max_epochs=10)
param_scheduler = [
    dict(type='CosineAnnealingLR', T_max=10, begin=0, end=10, by_epoch=True)
]
