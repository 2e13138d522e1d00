r"""CP2 Quick Tuning of R50 + FCN: 20 epochs from MoCo v2 of 800 epochs.

Paper: Table 2, 'CP2 QT r.800'.
Expected: not measured; the paper has 75.7 / 76.5 / 39.2 mIoU on PASCAL VOC /
    Cityscapes / ADE20K after fine-tuning.
Hardware: 8 GPUs with 32 images each; memory and hours not measured.
Command:
    bash tools/dist_train.sh \
        configs/cp2/cp2_r50-fcn_mocov2-800e-pre_8xb32-20e_in1k.py 8
"""

_base_ = [
    '../_base_/models/cp2_r50_fcn.py',
    '../_base_/datasets/in1k_pairs.py',
    '../_base_/schedules/pretrain_sgd_b256.py',
    '../_base_/schedules/cosine_20e.py',
    '../_base_/pretrain_runtime.py',
]

model = dict(
    backbone=dict(
        init_cfg=dict(
            type='mmcp.Pretrained',
            checkpoint='https://dl.fbaipublicfiles.com/moco/moco_checkpoints/'
            'moco_v2_800ep/moco_v2_800ep_pretrain.pth.tar',
        )
    )
)
