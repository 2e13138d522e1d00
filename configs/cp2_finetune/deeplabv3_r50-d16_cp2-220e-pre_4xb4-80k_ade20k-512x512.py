r"""DeepLabv3 of R50 on ADE20K, from CP2 QT r.200.

Backbone and head are those of cp2_r50-aspp_mocov2-200e-pre_8xb32-20e_in1k; no
weight decay, as in the paper.
Another file: --cfg-options model.init_cfg.checkpoint=PATH.

Paper: Table 1, 'CP2 QT r.200'.
Expected: not measured; the paper has 40.7 mIoU.
Hardware: 4 GPUs with 4 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/cp2_finetune/deeplabv3_r50-d16_cp2-220e-pre_4xb4-80k_ade20k-512x512.py 4
"""

_base_ = 'deeplabv3_r50-d16_in1k-pre_4xb4-80k_ade20k-512x512.py'

model = dict(
    init_cfg=dict(
        checkpoint='work_dirs/cp2_r50-aspp_mocov2-200e-pre_8xb32-20e_in1k/'
        'epoch_20.pth',
        part='backbone+head',
    )
)
# Decay belongs to heads that start at random (Section 4.1).
optim_wrapper = dict(optimizer=dict(weight_decay=0.0))
