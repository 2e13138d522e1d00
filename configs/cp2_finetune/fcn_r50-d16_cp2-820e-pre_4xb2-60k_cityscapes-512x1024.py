r"""FCN of R50 on Cityscapes, from CP2 QT r.800.

Backbone and head are those of cp2_r50-fcn_mocov2-800e-pre_8xb32-20e_in1k; no
weight decay, as in the paper.
Another file: --cfg-options model.init_cfg.checkpoint=PATH.

Paper: Table 2, 'CP2 QT r.800'.
Expected: not measured; the paper has 76.5 mIoU.
Hardware: 4 GPUs with 2 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/cp2_finetune/fcn_r50-d16_cp2-820e-pre_4xb2-60k_cityscapes-512x1024.py 4
"""

_base_ = 'fcn_r50-d16_in1k-pre_4xb2-60k_cityscapes-512x1024.py'

model = dict(
    init_cfg=dict(
        checkpoint='work_dirs/cp2_r50-fcn_mocov2-800e-pre_8xb32-20e_in1k/'
        'epoch_20.pth',
        part='backbone+head',
    )
)
# Decay belongs to heads that start at random (Section 4.1).
optim_wrapper = dict(optimizer=dict(weight_decay=0.0))
